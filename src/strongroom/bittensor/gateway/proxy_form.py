"""The call of a proxy, `Proxy.proxy(real, force_proxy_type, call)`, made around the bytes of another call.

The type is always named: a key that the chain knows as several kinds of proxy calls as the one that it is here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from strongroom.bittensor.gateway import CallUnknown
from strongroom.bittensor.protocol.proxies import Delegation

PALLET, FUNCTION = "Proxy", "proxy"
_ARGUMENTS: Final = ("real", "force_proxy_type", "call")
_SOME: Final = b"\x01"


@dataclass(frozen=True, slots=True)
class ProxyForm:
    """The number of the call and that of an address that is an account's id, and the numbers of the types of proxies."""

    prefix: bytes = b""
    """Empty: the runtime has no such call, or with other arguments."""
    types: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, pallet_index: int, call: Mapping[str, Any], registry: Sequence[Mapping[str, Any]]) -> Self:
        """From the call's entry in the metadata."""
        fields = {one["name"]: one["type"] for one in call["fields"]}
        definitions = {one["id"]: one["type"] for one in registry}
        if tuple(fields) != _ARGUMENTS:
            return cls()
        addresses = _variants(definitions[fields["real"]])
        some = definitions[fields["force_proxy_type"]]["params"]
        if "Id" not in addresses or not some:
            return cls()
        prefix = bytes([pallet_index, call["index"], addresses["Id"]])
        return cls(prefix, _variants(definitions[some[0]["type"]]))

    def encode(self, delegation: Delegation, call: bytes) -> bytes:
        """Raises: CallUnknown: the runtime has no such call, or no such type of proxies."""
        number = self.types.get(delegation.proxy_type)
        if number is None:
            raise CallUnknown(f"The runtime has no call for a {delegation.proxy_type} proxy")
        return self.prefix + delegation.real + _SOME + bytes([number]) + call


def _variants(definition: Mapping[str, Any]) -> dict[str, int]:
    found = definition["def"].get("variant") or {}
    return {one["name"]: one["index"] for one in found.get("variants") or ()}
