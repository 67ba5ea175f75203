"""Where a callback may lead: a registered host at a public address, over https, written in one way only."""

from collections.abc import Sequence

import pytest

from town_gateway.callbacks.destinations import DestinationRefused, Destinations, HostUnknown, is_public_unicast

CLIENT = "partner-app"
PUBLIC, PUBLIC_V6 = "203.0.114.9", "2400:4000::9"


def judging(*addresses: str, loopback: tuple[str, ...] = ()) -> tuple[Destinations, list[str]]:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(f"{host}:{port}")
        return addresses

    hosts = {CLIENT: ("partner.example", "partner.example:8443", "127.0.0.1", "169.254.169.254", "127.0.0.1:9000")}
    return Destinations(hosts, loopback, resolve), asked


@pytest.mark.parametrize(
    ("url", "address", "expected"),
    [
        ("https://partner.example/a?b=c", PUBLIC, "https://203.0.114.9:443/a?b=c"),
        ("https://partner.example", PUBLIC, "https://203.0.114.9:443/"),
        ("https://partner.example:8443/", PUBLIC_V6, "https://[2400:4000::9]:8443/"),
    ],
)
async def test_a_registered_host_leads_to_the_one_address_it_has(url: str, address: str, expected: str) -> None:
    judge, asked = judging(address)
    destination = await judge.judge(CLIENT, url)
    assert destination.url == expected
    assert destination.authority == url.split("/")[2]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://partner.example/", "not-https"),
        ("http://169.254.169.254/", "not-https"),
        ("https://[::1]/", "form"),
        ("https://partner.example@127.0.0.1/", "form"),
        ("https://127.0.0.1#@partner.example/", "form"),
        ("https://partner.example\\@127.0.0.1/", "form"),
        ("https://partner.example\t/", "form"),
        (" https://partner.example/", "form"),
        ("https://partner.example/\r\nHost: x", "form"),
        ("https://PARTNER.example/", "form"),
        ("https://partner.example:0/", "form"),
        ("https://partner.example:99999/", "host-not-registered"),
        ("https://partner.example:444/", "host-not-registered"),
        ("https://partner.example.evil.example/", "host-not-registered"),
        ("https://partner.example./", "form"),
        ("https://2130706433/", "host-not-registered"),
        ("https://0x7f.1/", "host-not-registered"),
        ("file:///etc/passwd", "form"),
        ("https://partner.example/" + "a" * 500, "form"),
    ],
)
async def test_what_is_written_otherwise_is_refused_before_any_name_is_looked_up(url: str, reason: str) -> None:
    judge, asked = judging(PUBLIC)
    with pytest.raises(DestinationRefused) as refused:
        await judge.judge(CLIENT, url)
    assert (refused.value.reason, asked) == (reason, [])


async def test_another_clients_host_is_not_mine() -> None:
    judge, asked = judging(PUBLIC)
    with pytest.raises(DestinationRefused, match="host-not-registered"):
        await judge.judge("other-app", "https://partner.example/")
    assert asked == []


NOT_PUBLIC = [
    *("0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1", "192.0.0.8"),
    *("192.168.1.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250"),
    *("240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:203.0.114.9"),
    *("::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2001:0:a00:1::", "2002:a00:1::", "2001:db8::1", "fc00::1"),
    *("fd12::1", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1", "3fff::1", "100::1", "not an address", ""),
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_an_address_that_is_not_one_machines_on_the_internet_is_refused(address: str) -> None:
    assert not is_public_unicast(address)
    for addresses in ((address,), (PUBLIC, address), (address, PUBLIC)):
        judge, _ = judging(*addresses)
        with pytest.raises(DestinationRefused, match="address-not-public"):
            await judge.judge(CLIENT, "https://partner.example/")


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "https://169.254.169.254/"])
async def test_even_a_registered_address_must_be_public(url: str) -> None:
    judge, _ = judging(url.split("/")[2])
    with pytest.raises(DestinationRefused, match="address-not-public"):
        await judge.judge(CLIENT, url)


async def test_a_host_without_an_address_is_unknown_now() -> None:
    with pytest.raises(HostUnknown):
        await judging()[0].judge(CLIENT, "https://partner.example/")


async def test_a_trials_receiver_must_really_be_on_this_machine() -> None:
    near, _ = judging("127.0.0.1", loopback=("127.0.0.1:9000",))
    assert (await near.judge(CLIENT, "http://127.0.0.1:9000/x")).url == "http://127.0.0.1:9000/x"
    far, _ = judging(PUBLIC, loopback=("127.0.0.1:9000",))
    with pytest.raises(DestinationRefused, match="address-not-public"):
        await far.judge(CLIENT, "http://127.0.0.1:9000/x")
