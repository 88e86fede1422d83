"""Our widget on Zoho's record pages: a function of ours there asks for a link with a key, as the user who looks."""

from __future__ import annotations

from typing import Final

from acervo.crms.contract import CrmCredentials, CrmError
from acervo.crms.embedding import Embedding, Trust, origin_of
from acervo.crms.zoho.centres import centre_of
from acervo.crms.zoho.names import LOOKUPS, MODULES


def origins(trust: Trust) -> tuple[str, ...]:
    try:
        centre = centre_of(CrmCredentials({}, trust.options, trust.api_base))
    except CrmError:
        return ()
    return (origin_of(centre.pages),)


EMBEDDING: Final = Embedding(origins=origins, object_types={MODULES[kind]: kind for kind in LOOKUPS})
