"""A tiny, slow, independent account of what a stream of events must end in."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from support.sql import execute

BLOCKS = (0, 3, 5)
Tables = dict[str, Any]


class Model:
    def __init__(self, reward_spend_min_blocks: int) -> None:
        self._reward = reward_spend_min_blocks
        self.known: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, tuple[str, str | None]] = {"00": ("", None)}
        self.seen: set[str] = set()
        self.seqnums: dict[str, int] = defaultdict(int)

    def apply(self, encoded: Iterable[bytes]) -> "Model":
        for line in encoded:
            event = json.loads(line)
            kind, data = event["type"], event["data"]
            if kind == "VERTEX_REMOVED":
                self._drop_tokens(data["hash"], own=True)
                self.known.pop(data["hash"], None)
            elif kind in {"NEW_VERTEX_ACCEPTED", "VERTEX_METADATA_CHANGED"}:
                self._vertex(data)
            elif kind == "TOKEN_CREATED":
                self._token(data)
        return self

    def _vertex(self, data: dict[str, Any]) -> None:
        meta = data["metadata"]
        before = self.known.get(data["hash"])
        voided = bool(meta["voided_by"])
        if before is None and voided:
            return
        if voided:
            assert before is not None
            if not before["voided"]:
                self._drop_tokens(data["hash"], own=True)
            self.known[data["hash"]] = before | {"voided": True}
            return
        if before is None or before["voided"]:
            self.seen.update(o["decoded"]["address"] for o in data["outputs"] if o["decoded"])
            for header in data["headers"]:
                self.seen.add(header["nc_address"])
                self.seqnums[header["nc_address"]] = max(
                    self.seqnums[header["nc_address"]], header["nc_seqnum"]
                )
            if data["version"] == 2:
                self.tokens.setdefault(data["hash"], (data["hash"], None))
        elif data["headers"] and meta["nc_execution"] != "success":
            self._drop_tokens(data["hash"], own=False)
        self.known[data["hash"]] = data | {"voided": False}

    def _token(self, data: dict[str, Any]) -> None:
        execution = data["nc_exec_info"] or {"nc_tx": data["token_uid"], "nc_block": None}
        creator, block = execution["nc_tx"], execution["nc_block"]
        for token, made in list(self.tokens.items()):
            if made[0] == creator and token != creator and made[1] != block:
                del self.tokens[token]
        self.tokens[data["token_uid"]] = (creator, block)

    def _drop_tokens(self, creator: str, *, own: bool) -> None:
        for token, made in list(self.tokens.items()):
            if made[0] == creator and (own or token != creator):
                del self.tokens[token]

    def tables(self, now_s: int) -> Tables:
        live = {h: v for h, v in self.known.items() if not v["voided"]}
        heights = [v["metadata"]["height"] for v in live.values() if v["version"] in BLOCKS]
        best = max(heights, default=-1)
        spent_by = {(i["tx_id"], i["index"]): h for h, v in live.items() for i in v["inputs"]}
        outputs: dict[tuple[str, int], Any] = {}
        history: dict[tuple[str, str, str], int] = {}
        balances: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
        expires: dict[tuple[str, str], int] = {}
        for tx_id, vertex in self.known.items():
            for index, output in enumerate(vertex["outputs"]):
                if not output["decoded"]:
                    continue
                address, timelock = output["decoded"]["address"], output["decoded"]["timelock"]
                token, authority = _token(vertex, output), bool(output["token_data"] & 0x80)
                heightlock = (
                    vertex["metadata"]["height"] + self._reward if vertex["version"] in BLOCKS else None
                )
                spender = spent_by.get((tx_id, index))
                locked = spender is None and bool(
                    (timelock is not None and timelock >= now_s)
                    or (heightlock is not None and heightlock > best)
                )
                value, bits = (0, output["value"]) if authority else (output["value"], 0)
                outputs[tx_id, index] = (
                    token, address, value, bits, timelock, heightlock, locked, spender, vertex["voided"]
                )  # fmt: skip
                if vertex["voided"]:
                    continue
                key, pair = (address, tx_id, token), (address, token)
                history[key] = history.get(key, 0) + value
                balances[pair][4] += value
                if spender is None:
                    balances[pair][1 if locked else 0] += value
                    balances[pair][3 if locked else 2] |= bits
                    if locked and timelock is not None:
                        expires[pair] = min(expires.get(pair, timelock), timelock)
                else:
                    key = (address, spender, token)
                    history[key] = history.get(key, 0) - value
        present = {(address, tx_id) for address, tx_id, _token_id in history}
        for tx_id, vertex in live.items():
            for header in vertex["headers"]:
                if (header["nc_address"], tx_id) not in present:
                    history[header["nc_address"], tx_id, "00"] = 0
        counts = Counter((address, token) for address, _tx_id, token in history)
        return {
            "transaction": {
                h: (
                    v["voided"],
                    v["metadata"]["height"]
                    if v["version"] in BLOCKS or v["metadata"]["first_block"]
                    else None,
                    v["metadata"]["first_block"],
                )
                for h, v in self.known.items()
            },
            "tx_output": outputs,
            "address_tx_history": {k: (v, self.known[k[1]]["timestamp"]) for k, v in history.items()},
            "address_balance": {
                pair: (
                    *balances[pair][:4],
                    expires.get(pair),
                    counts[pair],
                    balances[pair][4],
                )
                for pair in counts
            },
            "address": self._addresses(history),
            "token": self._tokens(history),
            "miner": self._miners(live),
        }

    def _addresses(self, history: Iterable[tuple[str, str, str]]) -> dict[str, tuple[int, int]]:
        used: dict[str, set[str]] = defaultdict(set)
        for address, tx_id, _token_id in history:
            used[address].add(tx_id)
        return {address: (len(used[address]), self.seqnums.get(address, 0)) for address in self.seen}

    def _tokens(self, history: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
        touched: dict[str, set[str]] = defaultdict(set)
        for _address, tx_id, token in history:
            touched[token].add(tx_id)
        return {t: (c, b, len(touched[t] - {c})) for t, (c, b) in self.tokens.items()}

    def _miners(self, live: dict[str, dict[str, Any]]) -> dict[str, Any]:
        blocks: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for tx_id, vertex in live.items():
            if vertex["version"] in BLOCKS and vertex["outputs"] and vertex["outputs"][0]["decoded"]:
                address = vertex["outputs"][0]["decoded"]["address"]
                blocks[address].append((vertex["metadata"]["height"], tx_id))
        return {a: (min(b)[1], max(b)[1], len(b)) for a, b in blocks.items()}


def stored_tables(connection: Connection) -> Tables:
    """The database in the form of `Model.tables`."""

    def rows(sql: str) -> Any:
        return execute(connection, sql)

    return {
        "transaction": {
            r[0]: (bool(r[1]), r[2], r[3])
            for r in rows("SELECT tx_id, voided, height, first_block FROM `transaction`")
        },
        "tx_output": {
            (r[0], r[1]): (*r[2:4], int(r[4]), *r[5:8], bool(r[8]), r[9], bool(r[10]))
            for r in rows(
                "SELECT tx_id, `index`, token_id, address, value, authorities, timelock, heightlock,"
                " locked, spent_by, voided FROM tx_output"
            )
        },
        "address_tx_history": {
            tuple(r[:3]): (int(r[3]), r[4])
            for r in rows("SELECT address, tx_id, token_id, balance, timestamp FROM address_tx_history")
        },
        "address_balance": {
            (r[0], r[1]): (int(r[2]), int(r[3]), *r[4:8], int(r[8]))
            for r in rows(
                "SELECT address, token_id, unlocked_balance, locked_balance, unlocked_authorities,"
                " locked_authorities, timelock_expires, transactions, total_received FROM address_balance"
            )
        },
        "address": {r[0]: (r[1], r[2]) for r in rows("SELECT address, transactions, seqnum FROM address")},
        "token": {
            r[0]: (r[1] or "", r[2], r[3])
            for r in rows(
                "SELECT t.id, c.tx_id, c.first_block, t.transactions FROM token t"
                " LEFT JOIN token_creation c ON c.token_id = t.id"
            )
        },
        "miner": {
            r[0]: (r[1], r[2], r[3])
            for r in rows("SELECT address, first_block, last_block, count FROM miner")
        },
    }


def _token(vertex: dict[str, Any], output: dict[str, Any]) -> str:
    index = output["token_data"] & 0x7F
    return "00" if index == 0 else str(vertex["tokens"][index - 1])
