"""Secrets in what a script prints, however it comes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from uws_server.execution.redaction import Redactor

SECRET = b"tok-tok-tok-9"
pieces = st.lists(st.sampled_from([SECRET, b"tok-", b"tok-tok-tok-", b"9", b"x", b"\n", b"tok-tok-tok-tok-9"]))


def printed(redactor: Redactor, data: bytes, cuts: list[int]) -> bytes:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    reads = [data[start:end] for start, end in pairwise(places)]
    return b"".join([*map(redactor.cleaned, reads), redactor.rest()])


@given(pieces, st.lists(st.integers(min_value=0)))
def test_an_output_is_the_same_without_secrets_wherever_it_is_cut(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    assert printed(Redactor({"t": SECRET}), data, cuts) == data.replace(SECRET, b"[secret t]")


@given(
    st.lists(st.sampled_from([b"abcdefgh", b"abcdefgh12345", b"abcdefgh1", b"-"])), st.lists(st.integers(min_value=0))
)
def test_of_two_the_longer_one_is_taken(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    expected = data.replace(b"abcdefgh12345", b"[secret long]").replace(b"abcdefgh", b"[secret short]")
    assert printed(Redactor({"short": b"abcdefgh", "long": b"abcdefgh12345"}), data, cuts) == expected


def test_lines_of_a_secret_are_taken_alone() -> None:
    redactor = Redactor({"key": b"-----BEGIN-----\nMIIEowIBAAKC\n=\n"})
    assert printed(redactor, b"a MIIEowIBAAKC b = c", []) == b"a [secret key] b = c"


def test_without_secrets_nothing_waits() -> None:
    assert Redactor({}).cleaned(b"abc") == b"abc"


def test_an_end_that_is_no_beginning_of_a_secret_does_not_wait() -> None:
    redactor = Redactor({"t": SECRET})
    assert redactor.cleaned(b"[STAGE 1/2] a\ntok") == b"[STAGE 1/2] a\n"
    assert redactor.cleaned(b"yo\n") == b"tokyo\n"
