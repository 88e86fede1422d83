"""Signing in and out: members are invited by an administrator, nobody signs up."""

from __future__ import annotations

from allauth.account import views
from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class InvitedMembersOnly(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's own rules, without a way in for strangers."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def add_message(self, *args: object, **kwargs: object) -> None:
        """The page one lands on says enough: no "successfully signed in as …" with an e-mail address on the screen."""


sign_in = views.LoginView.as_view()
sign_out = views.LogoutView.as_view()
no_sign_up = views.SignupView.as_view()
inactive = views.AccountInactiveView.as_view()
change_password = views.PasswordChangeView.as_view()
