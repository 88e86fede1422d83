"""Our component on Salesforce's record pages: Apex of ours asks for a link with a key, as the user who looks."""

from __future__ import annotations

from typing import Final

from acervo.crms.embedding import Embedding, Trust, origin_of
from acervo.crms.salesforce.places import MEDIA

_MY_DOMAIN: Final = ".my.salesforce.com"
_LIGHTNING: Final = ".lightning.force.com"


def origins(trust: Trust) -> tuple[str, ...]:
    """Lightning pages have a host of their own beside My Domain's, for sandboxes and developer accounts alike."""
    home = origin_of(trust.api_base or "")
    if not trust.api_base or not home.endswith(_MY_DOMAIN):
        return (home,) if trust.api_base else ()
    return (home.removesuffix(_MY_DOMAIN) + _LIGHTNING, home)


EMBEDDING: Final = Embedding(
    origins=origins,
    object_types={
        "Contact": "contact",
        "Opportunity": "deal",
        "Case": "ticket",
        "Campaign": "campaign",
        MEDIA: "media",
    },
)
