from __future__ import annotations

import pytest

from llm_twin.collect.web.addresses import AddressRefused, Pinned, system_resolve, why_refused


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.0.192", "198.18.0.1", "240.0.0.1", "168.63.129.16",
        "::1", "::", "fe80::1%eth0", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:7f00:1",
        "2002:7f00:1::", "2002:a9fe:a9fe::1", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "100::1", "3fff::1", "3fff:fff::1",
        "not an address", "",
    ],
)  # fmt: skip
def test_addresses_that_are_not_of_the_internet_are_refused(address: str) -> None:
    assert why_refused(address)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert why_refused(address) is None


@pytest.mark.parametrize(
    "host", ["2130706433", "0177.0.0.1", "0x7f.1", "127.1", "0x7f000001", "017700000001"]
)
def test_other_spellings_of_an_address_are_judged_as_what_they_stand_for(host: str) -> None:
    assert [why_refused(a) for a in system_resolve(host, 80)] == ["loopback address"]


def test_a_name_that_leads_inside_is_refused() -> None:
    inside = Pinned(False, lambda host, port: ["10.1.2.3", "::1"])
    with pytest.raises(AddressRefused, match=r"private address 10\.1\.2\.3, ::1"):
        inside.of("blog.example", 80)
    assert Pinned(True, lambda host, port: ["10.1.2.3"]).of("blog.example", 80) == ("10.1.2.3",)


def test_a_name_is_looked_up_once() -> None:
    answers = iter([["1.1.1.1"], ["127.0.0.1"]])
    pinned = Pinned(False, lambda host, port: next(answers))
    assert pinned.of("blog.example", 80) == pinned.of("blog.example", 80) == ("1.1.1.1",)
    with pytest.raises(AddressRefused):
        pinned.of("blog.example", 8080)


def test_only_the_public_addresses_of_a_name_are_used() -> None:
    pinned = Pinned(False, lambda host, port: ["127.0.0.1", "1.1.1.1", "::1", "1.0.0.1"])
    assert pinned.of("blog.example", 80) == ("1.1.1.1", "1.0.0.1")


@pytest.mark.parametrize("failure", [OSError("no such name"), UnicodeError("label too long"), None])
def test_a_name_without_an_address_is_an_error_of_the_network(failure: Exception | None) -> None:
    def resolve(host: str, port: int) -> list[str]:
        if failure:
            raise failure
        return []

    with pytest.raises(OSError, match=r"the name blog\.example has no address"):
        Pinned(False, resolve).of("blog.example", 80)
