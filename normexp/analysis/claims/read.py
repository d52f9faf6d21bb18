"""Reads the file of a claim."""

from collections.abc import Mapping

from normexp.analysis.claims.claim import Claim
from normexp.analysis.claims.planned import planned
from normexp.errors import UserError
from normexp.runs.plain import from_plain


def read_claim(name: str, settings: object, digest: str = "") -> Claim:
    """Decode what is in a claim's file; raises UserError with the file, the key and the value."""
    if isinstance(settings, Mapping):
        one_line = {k: " ".join(v.split()) for k, v in settings.items() if isinstance(v, str)}
        settings = {**settings, **one_line, "name": name, "digest": digest}
    try:
        claim = from_plain(Claim, settings)
        planned(claim)
    except ValueError as error:
        raise UserError(f"claims/{name}.yaml: {str(error).lstrip('.: ')}") from None
    return claim
