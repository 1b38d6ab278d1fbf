"""For tests whose many refused callers are not what they are about."""

UNSLOWED = 1_000_000
"""Failed authentications that slow nobody down."""
