"""The HTTP core with a token that ends: replaced once a call, asked for without leaking, judged in words."""

import httpx
import pytest

from acervo.crms.contract import CrmError, CrmErrorKind
from acervo.crms.http import CrmHttp, ask_for_token
from acervo.crms.pace import Pace, RollingLimit
from acervo.crms.tokens import AccessToken, OwnToken

KINDS = {401: CrmErrorKind.AUTH_EXPIRED, 400: CrmErrorKind.AUTH_REVOKED, 200: CrmErrorKind.AUTH_REVOKED}


def refusal(response):
    return CrmError(KINDS[response.status_code], status=response.status_code)


class Vendor:
    """Answers with the token it was called with; those in `ended` are refused."""

    def __init__(self):
        self.ended, self.asked, self.calls = set(), 0, []
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        self.keeper = OwnToken()
        pace = Pace({"burst": RollingLimit(100, 1.0)})
        self.http = CrmHttp(
            self.client,
            base_url="https://crm.example",
            token=lambda refused: self.keeper.get(self._ask, refused=refused),
            pace=pace,
            read_error=refusal,
            usage_headers={},
        )

    async def _ask(self):
        self.asked += 1
        return AccessToken(f"t{self.asked}")

    def _answer(self, request):
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.calls.append(token)
        return httpx.Response(401) if token in self.ended else httpx.Response(200, json={"token": token})


async def test_a_token_that_ended_is_replaced_and_the_call_made_again():
    vendor = Vendor()
    assert await vendor.http.call("POST", "/x") == {"token": "t1"}
    vendor.ended.add("t1")
    assert await vendor.http.call("POST", "/x") == {"token": "t2"}
    assert vendor.calls == ["t1", "t1", "t2"]


async def test_a_new_token_that_is_refused_too_is_the_end():
    vendor = Vendor()
    vendor.ended |= {"t1", "t2", "t3"}
    with pytest.raises(CrmError) as caught:
        await vendor.http.call("GET", "/x")
    assert caught.value.kind is CrmErrorKind.AUTH_EXPIRED
    assert vendor.calls == ["t1", "t2"]


@pytest.mark.parametrize(
    ("answer", "lifetime_s"),
    [({"access_token": "s3cr3t", "expires_in": 3600}, 3600.0), ({"access_token": "s3cr3t"}, None)],
)
async def test_a_token_is_read_from_what_the_vendor_answers(answer, lifetime_s):
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200, json=answer)))
    token = await ask_for_token(http, "https://crm.example/token", {"a": "b"}, read_error=refusal)
    assert token == AccessToken("s3cr3t", lifetime_s)
    assert "s3cr3t" not in repr(token)


@pytest.mark.parametrize("response", [httpx.Response(400), httpx.Response(200, json={"error": "invalid"})])
async def test_an_answer_without_a_token_is_judged_by_the_vendors_own_map(response):
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: response))
    with pytest.raises(CrmError) as caught:
        await ask_for_token(http, "https://crm.example/token", {}, read_error=refusal)
    assert caught.value.kind is CrmErrorKind.AUTH_REVOKED


async def test_a_token_endpoint_out_of_reach_is_tried_later():
    def fail(request):
        raise httpx.ReadTimeout("slow")

    http = httpx.AsyncClient(transport=httpx.MockTransport(fail))
    with pytest.raises(CrmError) as caught:
        await ask_for_token(http, "https://crm.example/token", {}, read_error=refusal)
    assert caught.value.kind is CrmErrorKind.UNAVAILABLE
