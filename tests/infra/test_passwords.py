"""Hashing: bounded, fair, and never on the event loop."""

import asyncio
import threading

from contracts.errors import Overloaded
from infra.passwords import MAX_WAITING, HashOptions, Passwords

CHEAP = HashOptions(memory_kib=64, rounds=1)


async def test_the_event_loop_goes_on_while_passwords_are_hashed_at_their_real_cost() -> None:
    passwords, loop, lags = Passwords(), asyncio.get_running_loop(), []
    began = loop.time()
    work = asyncio.gather(*(passwords.hash(f"password {number}") for number in range(6)))
    while not work.done():
        turn = loop.time()
        await asyncio.sleep(0.002)
        lags.append(loop.time() - turn)
    assert len(set(await work)) == 6
    one_hash_s = (loop.time() - began) / 3  # two at a time
    late = sorted(lags)[int(len(lags) * 0.9)]
    assert late < one_hash_s / 4, (late, one_hash_s)


async def test_as_many_are_hashed_at_once_as_the_options_say() -> None:
    passwords, inside, most, lock = Passwords(CHEAP), 0, 0, threading.Lock()
    done = threading.Event()

    def slow() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        if most == CHEAP.at_once:
            done.set()
        assert done.wait(10)
        with lock:
            inside -= 1

    await asyncio.gather(*(passwords._work(slow) for _ in range(20)))
    assert most == CHEAP.at_once


async def test_whoever_comes_when_too_many_wait_is_told_to_try_again_and_the_others_are_served() -> None:
    passwords = Passwords(CHEAP)
    answers = await asyncio.gather(
        *(passwords.hash("a password") for _ in range(MAX_WAITING + 30)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, Overloaded)]
    assert len(refused) == 30
    assert sum(isinstance(answer, str) for answer in answers) == MAX_WAITING
    assert await passwords.hash("a password")


async def test_a_password_fits_its_hash_only_and_one_of_other_costs_is_made_anew() -> None:
    old, new = Passwords(CHEAP), Passwords(HashOptions(memory_kib=128, rounds=1))
    stored = await old.hash("a password")
    assert stored != await old.hash("a password"), "salted"
    assert await old.verify("a password", stored) == (True, None)
    assert await old.verify("another password", stored) == (False, None)
    fits, renewed = await new.verify("a password", stored)
    assert fits
    assert renewed is not None
    assert await new.verify("a password", renewed) == (True, None)


async def test_nobody_has_a_password_that_fits() -> None:
    assert await Passwords(CHEAP).verify("a password", None) == (False, None)
