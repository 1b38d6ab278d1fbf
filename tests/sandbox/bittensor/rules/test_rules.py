"""The chain's arithmetic against amounts that the real runtime computed."""

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from strongroom_sandbox.bittensor.rules import consensus, epochs, fixed, prices, shares, weights
from strongroom_sandbox.bittensor.rules.pool import (
    RAO,
    Pool,
    Side,
    Swap,
    price,
    swap_on_curve,
    swap_on_reserves,
)

u16 = st.integers(0, 65_535)
ALICE_HK0 = bytes.fromhex("325c5cfe26f2a4765f36c55554d10ad65668fcfc32f92462cf6f143b2ae5c03a")
FRESH = Pool(tao=10**12, alpha=10**12, fee_rate=196)


def applied(pool: Pool, side: Side, swap: Swap) -> Pool:
    if side is Side.BUY:
        return replace(swap.pool, tao=pool.tao + swap.paid_in, alpha=pool.alpha - swap.paid_out)
    return replace(swap.pool, tao=pool.tao - swap.paid_out, alpha=pool.alpha + swap.paid_in)


def test_weights_scale_as_recorded() -> None:
    assert weights.max_upscale([100, 200, 300]) == [21845, 43690, 65535]
    assert weights.max_upscale([5, 6]) == [54613, 65535]
    assert weights.max_upscale([0, 7, 14]) == [0, 32768, 65535]
    assert weights.max_upscale([3, 4]) == [49151, 65535]
    assert weights.max_upscale([9362, 18724, 65535]) == [9362, 18724, 65535]
    assert weights.max_upscale([0, 0]) == [0, 0]
    assert weights.max_upscale([]) == []


@given(st.lists(u16, min_size=1, max_size=64))
def test_upscaled_weights_keep_their_proportion(values: list[int]) -> None:
    scaled = weights.max_upscale(values)
    assert max(scaled) == (65_535 if max(values) else 0)
    for value, result in zip(values, scaled, strict=True):
        exact = Fraction(value * 65_535, max(values) or 1)
        assert abs(result - exact) <= Fraction(1, 2) + Fraction(1, 10**4)


@given(st.lists(u16, min_size=1, max_size=64))
def test_upscaling_twice_changes_nothing(values: list[int]) -> None:
    once = weights.max_upscale(values)
    assert weights.max_upscale(once) == once


@given(st.lists(u16, min_size=1, max_size=64), u16)
def test_a_share_is_the_part_of_the_sum(values: list[int], limit: int) -> None:
    total = sum(values)
    exceeds = weights.exceeds_share(values, limit)
    if not total:
        assert not exceeds
    elif abs(Fraction(max(values), total) - Fraction(limit, 65_535)) > Fraction(1, 2**31):
        assert exceeds == (Fraction(max(values), total) > Fraction(limit, 65_535))


def test_a_commit_hash_is_as_recorded() -> None:
    salt = [11, 22, 33, 44, 55, 66, 77, 88]
    found = weights.commit_hash(ALICE_HK0, 2, [1, 2, 3], [10, 20, 30], salt, 0)
    assert found.hex() == "7161111c847d3d6aac74962fac6edab2b82f0beadcf1f75c158f527e830e8004"


def test_a_self_weight_is_the_only_weight_and_the_own() -> None:
    assert weights.is_self_weight(3, [3], [0])
    assert not weights.is_self_weight(3, [3, 4], [1, 1])
    assert not weights.is_self_weight(3, [2], [1])


def test_reveal_windows_are_as_recorded() -> None:
    assert epochs.reveal_window(2, 10, 75, 1) == (85, 95)


@given(st.integers(0, 1000), st.integers(1, 400), st.integers(0, 10**6))
def test_an_epoch_begins_right_after_the_block_that_runs_one(netuid: int, tempo: int, block: int) -> None:
    ahead = epochs.blocks_until(netuid, tempo, block)
    assert epochs.blocks_until(netuid, tempo, block + ahead) == 0
    assert epochs.index_at(netuid, tempo, block + ahead) == epochs.index_at(netuid, tempo, block)
    assert epochs.index_at(netuid, tempo, block + ahead + 1) == epochs.index_at(netuid, tempo, block) + 1


def test_a_subnet_without_tempo_has_no_epoch() -> None:
    assert epochs.blocks_until(1, 0, 10) == epochs.NEVER


def test_the_second_subnet_costs_what_was_recorded() -> None:
    cost = prices.lock_cost(last=10**12, least=10**12, last_block=4, block=147, interval=100_800)
    assert cost == 1_998_581_349_338


def test_a_burn_follows_registrations_and_stays_in_its_bounds() -> None:
    kept = {"burn": 10**8, "target": 1, "alpha": 0, "least": 500_000, "most": 10**11}
    assert prices.adjusted_burn(registrations=1, **kept) == 10**8
    assert prices.adjusted_burn(registrations=3, **kept) == 2 * 10**8
    assert prices.adjusted_burn(registrations=0, **kept) == 5 * 10**7
    assert prices.adjusted_burn(registrations=0, **(kept | {"burn": 500_000})) == 500_000
    assert prices.raised_burn(burn=10**8, factor=2 * fixed.ONE, least=1, most=10**9) == 2 * 10**8
    assert 0.49 < prices.decayed_burn(burn=10**8, half_life=1, least=1, most=10**9) / 10**8 <= 0.5


def test_the_pool_pays_what_was_recorded() -> None:
    pool = FRESH
    for _ in range(3):
        pool = applied(pool, Side.BUY, swap_on_curve(pool, Side.BUY, 10**8))
    assert (pool.tao, pool.alpha) == (1_000_299_102_772, 999_700_986_665)
    bought = swap_on_curve(pool, Side.BUY, 10**11)
    assert (bought.paid_out, bought.fee) == (90_610_099_013, 299_076_829)
    pool = applied(pool, Side.BUY, bought)
    assert (pool.tao, pool.alpha) == (1_100_000_025_943, 909_090_887_652)
    sold = swap_on_curve(pool, Side.SELL, 10**9)
    assert (sold.paid_out, sold.fee) == (1_205_059_626, 2_990_768)
    pool = applied(pool, Side.SELL, sold)
    assert (pool.tao, pool.alpha) == (1_098_794_966_317, 910_087_896_884)
    assert swap_on_curve(pool, Side.BUY, 10**9).paid_out == 825_034_238


@given(st.integers(10**6, 10**13), st.sampled_from(Side))
def test_both_curves_lose_nothing_and_stop_at_a_limit(amount: int, side: Side) -> None:
    for swap in (swap_on_curve, swap_on_reserves):
        done = swap(FRESH, side, amount)
        after = applied(FRESH, side, done)
        assert done.paid_in + done.fee == amount
        assert after.tao * after.alpha >= FRESH.tao * FRESH.alpha * (1 - Fraction(1, 10**6))
        limit = RAO * 11 // 10 if side is Side.BUY else RAO * 10 // 11
        stopped = swap(FRESH, side, amount, limit=limit)
        reached = Fraction(price(replace(applied(FRESH, side, stopped), sqrt_price=0)), fixed.ONE) * RAO
        assert stopped.paid_in <= done.paid_in
        assert abs(reached - limit) < RAO // 1000 or (reached < limit) == (side is Side.BUY)


def test_shares_are_as_recorded() -> None:
    pool, added = shares.change(shares.SharePool(value=0, total=0, share=0), 90_610_099_013)
    assert added == 90_610_099_013
    assert pool.total == 1_671_461_306_986_293_442_129_594_155_008
    pool, _ = shares.change(pool, -1_000_000_000)
    assert (pool.value, pool.owned) == (89_610_099_013, 89_610_099_013)
    assert pool.share == 1_653_014_562_912_583_890_513_594_155_008


def test_taking_nearly_all_takes_all() -> None:
    pool, _ = shares.change(shares.SharePool(value=0, total=0, share=0), 10**12)
    pool, taken = shares.change(pool, -(10**12 - 1))
    assert (pool.share, pool.value, taken) == (0, 0, -(10**12))


def test_an_epoch_gives_what_was_recorded() -> None:
    voters = [True, False, False, False]
    rows: list[dict[int, int]] = [{1: 49_151, 2: 65_535}, {}, {}, {}]
    found = consensus.epoch([90 * RAO, 0, 0, 0], voters, rows, kappa=32_767, most_permits=64)
    assert found == consensus.Outcome(
        stake=[65_535, 0, 0, 0],
        permits=[True, False, False, False],
        rank=[0, 28_086, 37_448, 0],
        trust=[0, 65_535, 65_535, 0],
        validator_trust=[65_534, 0, 0, 0],
        consensus=[0, 28_086, 37_448, 0],
        dividends=[65_535, 0, 0, 0],
        pruning=[65_535, 28_086, 37_449, 0],
    )


def test_permits_go_to_the_greatest_stakes() -> None:
    assert consensus.permits([5, 0, 7, 6], 2) == [False, False, True, True]
    assert consensus.permits([5, 0, 7, 6], 9) == [True, False, True, True]
