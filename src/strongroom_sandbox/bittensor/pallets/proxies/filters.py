"""What a proxy of each type may call, on runtimes 293 and 424 (subtensor, `runtime/src/lib.rs`)."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from strongroom_sandbox.bittensor.codec.runtime import Call

SMALL_TRANSFER: Final = 500_000_000
_NEWER: Final = 424
_PERMISSIVE: Final = "Any"
_STAKE: Final = frozenset(
    {
        *("add_stake", "remove_stake", "unstake_all", "unstake_all_alpha", "swap_stake", "swap_stake_limit"),
        *("move_stake", "add_stake_limit", "remove_stake_limit", "remove_stake_full_limit"),
    }
)
_COLDKEY: Final = frozenset({"schedule_swap_coldkey", "swap_coldkey"})
_ANNOUNCED: Final = frozenset(
    {
        *("announce_coldkey_swap", "swap_coldkey_announced"),
        *("clear_coldkey_swap_announcement", "dispute_coldkey_swap"),
    }
)
_LEASED: Final = frozenset(
    f"sudo_set_{name}"
    for name in (
        *(
            "serving_rate_limit",
            "min_difficulty",
            "max_difficulty",
            "weights_version_key",
            "adjustment_alpha",
        ),
        *("immunity_period", "min_allowed_weights", "kappa", "rho", "activity_cutoff", "max_burn"),
        *("network_registration_allowed", "network_pow_registration_allowed", "bonds_moving_average"),
        *("bonds_penalty", "commit_reveal_weights_enabled", "liquid_alpha_enabled", "alpha_values"),
        *("commit_reveal_weights_interval", "toggle_transfer"),
    )
)
_LEASED_SINCE: Final = frozenset(
    {"sudo_set_subnet_emission_enabled", "sudo_set_min_childkey_take_per_subnet"}
)


class _Names(NamedTuple):
    """Calls: those of SubtensorModule and of AdminUtils, and all of some pallets."""

    subtensor: frozenset[str] = frozenset()
    admin: frozenset[str] = frozenset()
    pallets: frozenset[str] = frozenset()

    def has(self, inner: Call) -> bool:
        own = {"SubtensorModule": self.subtensor, "AdminUtils": self.admin}
        return inner.pallet in self.pallets or inner.function in own.get(inner.pallet, frozenset())


def _only(*functions: str) -> _Names:
    return _Names(frozenset(functions))


_COMMON: Final = {
    "Registration": _only("burned_register", "register"),
    "ChildKeys": _only("set_children", "set_childkey_take"),
    "Triumvirate": _Names(pallets=frozenset({"Triumvirate", "TriumvirateMembers"})),
    "Senate": _Names(pallets=frozenset({"SenateMembers"})),
    "Governance": _Names(pallets=frozenset({"SenateMembers", "Triumvirate", "TriumvirateMembers"})),
    "RootWeights": _only("set_tao_weights"),
}
_ALLOWED: Final = {
    293: _COMMON
    | {
        "Staking": _Names(_STAKE),
        "SwapHotkey": _only("swap_hotkey"),
        "SubnetLeaseBeneficiary": _Names(
            frozenset({"start_call"}), _LEASED | frozenset({"sudo_set_max_weight_limit"})
        ),
    },
    _NEWER: {
        "Registration": _only("burned_register", "register", "register_limit"),
        "ChildKeys": _COMMON["ChildKeys"],
        "Staking": _Names(_STAKE | {"set_root_claim_type"}),
        "SwapHotkey": _only("swap_hotkey", "swap_hotkey_v2"),
        "SubnetLeaseBeneficiary": _Names(frozenset({"start_call"}), _LEASED | _LEASED_SINCE),
        "RootClaim": _only("claim_root"),
    },
}
_STAKE_AND_MORE: Final = (
    _STAKE | _COLDKEY | {"transfer_stake", "burned_register", "root_register", "swap_hotkey"}
)
_BALANCES: Final = frozenset({"Balances"})
_BARRED: Final = {
    293: {
        "NonTransfer": _Names(_COLDKEY | {"transfer_stake"}, pallets=_BALANCES),
        "NonFungibile": _Names(_STAKE_AND_MORE, pallets=_BALANCES),
        "NonCritical": _Names(
            frozenset({"dissolve_network", "root_register", "burned_register", "set_tao_weights"}),
            pallets=frozenset({"Triumvirate", "Sudo"}),
        ),
    },
    _NEWER: {
        "NonTransfer": _Names(_COLDKEY | _ANNOUNCED | {"transfer_stake"}, pallets=_BALANCES),
        "NonFungible": _Names(_STAKE_AND_MORE | _ANNOUNCED | {"swap_hotkey_v2"}, pallets=_BALANCES),
        "NonCritical": _Names(
            _ANNOUNCED | {"dissolve_network", "root_register", "burned_register"}, pallets=frozenset({"Sudo"})
        ),
    },
}
_AMOUNTS: Final = {
    ("Balances", "transfer_keep_alive"): "value",
    ("Balances", "transfer_allow_death"): "value",
    ("SubtensorModule", "transfer_stake"): "alpha_amount",
}


def allows(spec: int, kind: str, inner: Call) -> bool:
    """Whether the type's own filter lets the call through. `spec`: whose metadata the runtime has."""
    barred, allowed = _BARRED[spec].get(kind), _ALLOWED[spec].get(kind)
    name = (inner.pallet, inner.function)
    found = (barred is not None and not barred.has(inner)) or (allowed is not None and allowed.has(inner))
    match kind:
        case "Any":
            found = True
        case "Transfer":
            found = name in {*_AMOUNTS, ("Balances", "transfer_all")}
        case "SmallTransfer":
            found = name in _AMOUNTS and inner.args[_AMOUNTS[name]] < SMALL_TRANSFER
        case "Owner":
            found = _owner_may(spec, inner)
        case "SudoUncheckedSetCode":
            found = name == ("Sudo", "sudo_unchecked_weight") and _is_set_code(inner.args["call"])
    return found


def proxy_filter(spec: int, kind: str) -> Callable[[Call], bool]:
    """The filter of what a proxy calls: it also keeps the proxy from giving away more than it has."""

    def lets(inner: Call) -> bool:
        if inner.pallet == "Proxy":
            if inner.function in {"add_proxy", "remove_proxy"} and not _includes(
                kind, inner.args["proxy_type"]
            ):
                return False
            if inner.function in {"remove_proxies", "kill_pure"} and kind != _PERMISSIVE:
                return False
        return allows(spec, kind, inner)

    return lets


def _includes(kind: str, other: str) -> bool:
    if kind in {other, _PERMISSIVE}:
        return True
    if other == _PERMISSIVE:
        return False
    if kind == "NonTransfer":
        return other not in {"Transfer", "SmallTransfer"}
    return (kind, other) in {
        ("Governance", "Triumvirate"),
        ("Governance", "Senate"),
        ("Transfer", "SmallTransfer"),
    }


def _owner_may(spec: int, inner: Call) -> bool:
    if inner.pallet != "AdminUtils":
        return inner.pallet == "SubtensorModule" and inner.function in {
            "set_subnet_identity",
            "update_symbol",
        }
    barred = {"sudo_set_sn_owner_hotkey"} | ({"sudo_set_subnet_owner_hotkey"} if spec == _NEWER else set())
    return inner.function not in barred


def _is_set_code(value: Any) -> bool:
    match value:
        case ("System", ("set_code", _)) | ("System", {"set_code": _}):
            return True
    return False
