"""Which targets the guard lets through, however they are spelt and whatever they resolve to."""

import re
from collections.abc import Sequence

import pytest

from aipartnerupflow.adapters.net.guard import Guard, Pinned, Unresolved
from aipartnerupflow.adapters.net.lookups import system_resolve
from aipartnerupflow.domain.errors import InvalidInput, TargetRefused

REFUSED = [
    # IPv4, by range, first and last addresses among them
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.1.2.3", "10.255.255.255", "100.64.0.0",
    "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.0.1", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1",
    "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1",
    "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    # other spellings that resolvers take: decimal, octal, hexadecimal, fewer parts, a final dot
    "2130706433", "3232235777", "017700000001", "0x7f000001", "0x7F.1", "0177.0.0.1", "127.1",
    "127.0.1", "0", "0x0", "10.1", "192.168.257", "0xa9fea9fe", "0251.0376.0251.0376",
    "2852039166", "127.0.0.1.", "127.0.0.01", "0x7f.0x0.0x0.0x1",
    # spellings of nothing
    "256.1.1.1", "1.2.3.4.5", "4294967296", "0x1ffffffff", "08.1.1.1", "127.0.0.1:80",
    # IPv6
    "::", "::1", "[::1]", "0:0:0:0:0:0:0:1", "fc00::1", "fdff::1", "fe80::1", "febf::1", "fec0::1",
    "ff02::1", "ff0e::1", "2001:db8::1", "3fff::1", "100::1", "4000::1", "5f00::1", "::2",
    "2001:2::1", "2001:10::1", "2001:20::1", "2001:1::1",
    # IPv4 within IPv6: mapped, compatible, NAT64, 6to4, Teredo (server, client), ISATAP
    "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "[::ffff:192.168.1.1]", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1",
    "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "64:ff9b:1::8.8.8.8",
    "2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::1", "2002:a9fe:a9fe::", "2001:0:7f00:1::",
    "2001:0:808:808:0:0:f5ff:fffe", "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:7f00:1",
    # zones
    "fe80::1%eth0", "fe80::1%25eth0", "2606:4700::1%1", "::1%lo", "127.0.0.1%lo", "[fe80::1%eth0]",
    # no hosts at all
    "", ".", "..", " ", "a b", "a\x00b", "a\nb", "-a.example", "a..b", "a/b", "a@b", "a" * 64,
    ".".join(["a" * 60] * 5), "[", "[]", "ex*mple.com", "user:pw",
]  # fmt: skip
QUADS = [host for host in REFUSED if re.fullmatch(r"[1-9]\d*(\.(0|[1-9]\d*)){3}", host)][:-1]
ALLOWED = [
    ("8.8.8.8", "8.8.8.8"), ("1.1.1.1", "1.1.1.1"), ("9.255.255.255", "9.255.255.255"),
    ("11.0.0.0", "11.0.0.0"), ("100.63.255.255", "100.63.255.255"), ("100.128.0.0", "100.128.0.0"),
    ("126.255.255.255", "126.255.255.255"), ("128.0.0.1", "128.0.0.1"),
    ("169.253.255.255", "169.253.255.255"), ("172.15.255.255", "172.15.255.255"),
    ("172.32.0.0", "172.32.0.0"), ("192.167.255.255", "192.167.255.255"),
    ("223.255.255.255", "223.255.255.255"), ("134744072", "8.8.8.8"), ("0x08080808", "8.8.8.8"),
    ("010.8.8.8", "8.8.8.8"), ("8.8.8.8.", "8.8.8.8"), ("2606:4700::1111", "2606:4700::1111"),
    ("[2606:4700::1111]", "2606:4700::1111"), ("2001:4860:4860::8888", "2001:4860:4860::8888"),
    ("::ffff:8.8.8.8", "8.8.8.8"), ("64:ff9b::808:808", "64:ff9b::808:808"),
    ("2002:808:808::1", "2002:808:808::1"),
    ("2001:0:808:808:0:0:f7f7:f7f7", "2001:0:808:808::f7f7:f7f7"),
]  # fmt: skip


class Names:
    """A resolver that answers from a list, in turn, and counts how often it is asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class Nowhere:
    """A resolver that knows nothing."""

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")


def test_the_table_is_long_enough() -> None:
    assert len(set(REFUSED)) == len(REFUSED) >= 60


@pytest.mark.parametrize("host", REFUSED)
async def test_what_is_not_public_is_refused_however_it_is_spelt(host: str) -> None:
    names = Names(["8.8.8.8"])
    with pytest.raises(TargetRefused):
        await Guard(resolve=names).pin(host, 80)
    assert names.asked == []


@pytest.mark.parametrize(("host", "address"), ALLOWED)
async def test_what_is_public_is_allowed(host: str, address: str) -> None:
    names = Names(["127.0.0.1"])
    assert (await Guard(resolve=names).pin(host, 443)).addresses == (address,)
    assert names.asked == []


@pytest.mark.parametrize("address", [*QUADS, "::1", "fc00::1", "fe80::1%2", "::ffff:7f00:1"])
async def test_a_name_that_leads_there_is_refused(address: str) -> None:
    with pytest.raises(TargetRefused):
        await Guard(resolve=Names([address])).pin("public.example", 80)


@pytest.mark.parametrize("bad", ["127.0.0.1", "::1", "fe80::1%2", "::ffff:10.0.0.1", "64:ff9b::1"])
@pytest.mark.parametrize("first", [True, False])
async def test_one_bad_address_among_good_ones_refuses_the_name(bad: str, first: bool) -> None:
    answer = [bad, "8.8.8.8"] if first else ["8.8.8.8", bad]
    with pytest.raises(TargetRefused):
        await Guard(resolve=Names(answer)).pin("public.example", 80)


async def test_all_addresses_of_a_public_name_are_pinned_in_their_order() -> None:
    names = Names(["2606:4700::1111", "8.8.8.8", "8.8.8.8"])
    pinned = await Guard(resolve=names).pin("Public.Example.", 443)
    assert pinned.addresses == ("2606:4700::1111", "8.8.8.8")
    assert (pinned.host, pinned.port) == ("public.example", 443)
    assert names.asked == ["public.example"]


async def test_a_name_in_another_script_is_asked_for_as_it_is_registered() -> None:
    names = Names(["8.8.8.8"])
    await Guard(resolve=names).pin("bücher.example", 80)
    assert names.asked == ["xn--bcher-kva.example"]


@pytest.mark.parametrize(
    "host", ["①②⑦.⓪.⓪.①", "localhost", "\uff11\uff12\uff17.0.0.1", "127。0。0。1"]
)
async def test_letters_that_fold_into_loopback_gain_nothing(host: str) -> None:
    with pytest.raises(TargetRefused):
        await Guard().pin(host, 80)


async def test_the_resolver_of_this_machine_is_asked() -> None:
    assert set(await system_resolve("localhost", 80)) <= {"127.0.0.1", "::1"}


async def test_a_name_without_an_address_may_have_one_later() -> None:
    for resolve in (Nowhere(), Names([])):
        with pytest.raises(Unresolved) as caught:
            await Guard(resolve=resolve).pin("nowhere.example", 80)
        assert caught.value.transient


@pytest.mark.parametrize("port", [0, -1, 65_536, 10**6])
async def test_a_port_is_a_port(port: int) -> None:
    with pytest.raises(TargetRefused):
        await Guard().pin("8.8.8.8", port)


@pytest.mark.parametrize(
    ("private", "host"),
    [
        (["127.0.0.0/8"], "127.0.0.1"), (["127.0.0.1"], "127.0.0.1"), (["::1"], "[::1]"),
        (["[::1]"], "::1"), (["10.0.0.0/8"], "10.9.9.9"), (["10.1.2.3/8"], "10.9.9.9"),
        (["fd00::/8"], "fd12::1"), (["127.0.0.0/8"], "2130706433"),
        (["127.0.0.0/8"], "::ffff:127.0.0.1"), (["169.254.169.254"], "169.254.169.254"),
        ([" 127.0.0.0/8 "], "127.0.0.1"),
    ],
)  # fmt: skip
async def test_the_operator_may_allow_a_network(private: list[str], host: str) -> None:
    assert (await Guard(private).pin(host, 80)).addresses


@pytest.mark.parametrize("entry", ["db.internal", "DB.Internal.", "10.0.0.0/24"])
async def test_the_operator_may_allow_a_name_or_where_it_leads(entry: str) -> None:
    guard = Guard([entry], resolve=Names(["10.0.0.7"]))
    assert (await guard.pin("db.internal", 5432)).addresses == ("10.0.0.7",)


@pytest.mark.parametrize("host", ["xdb.internal", "db.internal.example", "internal", "10.0.0.7"])
async def test_an_allowed_name_allows_no_other(host: str) -> None:
    with pytest.raises(TargetRefused):
        await Guard(["db.internal"], resolve=Names(["10.0.0.7"])).pin(host, 80)


@pytest.mark.parametrize("host", ["10.1.0.1", "127.0.0.1", "::ffff:10.1.0.1", "64:ff9b::10.0.0.1"])
async def test_an_allowed_network_allows_no_other(host: str) -> None:
    with pytest.raises(TargetRefused):
        await Guard(["10.0.0.0/16"]).pin(host, 80)


@pytest.mark.parametrize("entry", ["", "10.0.0.0/33", "http://x", "a b", "*.internal", "x/8"])
def test_an_entry_that_is_neither_network_nor_name_is_refused(entry: str) -> None:
    with pytest.raises(InvalidInput, match="private_targets"):
        Guard([entry])


async def test_the_message_says_why_and_what_to_do_but_not_what_was_given() -> None:
    with pytest.raises(TargetRefused) as caught:
        await Guard(resolve=Names(["10.11.12.13"])).pin("secret-name.example", 80)
    said = str(caught.value)
    assert "private_targets" in said
    assert "not public (private)" in said
    assert "secret-name" not in said
    assert "10.11" not in said


async def test_the_addresses_of_a_target_are_tried_in_turn() -> None:
    tried: list[str] = []

    async def connect(address: str) -> str:
        tried.append(address)
        if address != "9.9.9.9":
            raise ConnectionRefusedError(address)
        return address

    pinned = Pinned("a.example", 80, ("8.8.8.8", "9.9.9.9", "1.1.1.1"))
    assert await pinned.first(connect, ConnectionRefusedError) == "9.9.9.9"
    assert tried == ["8.8.8.8", "9.9.9.9"]
    with pytest.raises(ConnectionRefusedError, match=r"1\.1\.1\.1"):
        await Pinned("a.example", 80, ("8.8.8.8", "1.1.1.1")).first(connect, OSError)
    with pytest.raises(ConnectionRefusedError, match=r"8\.8\.8\.8"):
        await Pinned("a.example", 80, ("8.8.8.8", "9.9.9.9")).first(connect, TimeoutError)
