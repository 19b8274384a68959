from __future__ import annotations

import httpx
import pytest

from llm_twin.collect.addresses import AddressRefused, PinnedTransport, system_resolve, why_refused


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "fd00:ec2::254",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::a9fe:a9fe", "not an address",
    ],
)  # fmt: skip
def test_addresses_that_are_not_of_the_internet_are_refused(address: str) -> None:
    assert why_refused(address)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert why_refused(address) is None


def test_a_decimal_address_is_judged_as_what_it_stands_for() -> None:
    assert why_refused(system_resolve("2130706433", 80)[0]) == "loopback address"


def test_a_name_that_leads_inside_is_refused_before_connecting() -> None:
    with (
        httpx.Client(transport=PinnedTransport(False, lambda host, port: ["10.1.2.3"])) as client,
        pytest.raises(AddressRefused, match=r"private address 10\.1\.2\.3"),
    ):
        client.get("http://blog.example/")


def test_a_name_that_changes_its_answer_keeps_the_first(site) -> None:
    site.html("/", "hello")
    port = int(site.base.rsplit(":", 1)[1])
    answers = iter([["127.0.0.1"], ["203.0.113.9"]])
    with httpx.Client(transport=PinnedTransport(True, lambda host, port: next(answers))) as client:
        first = client.get(f"http://blog.example:{port}/")
        second = client.get(f"http://blog.example:{port}/")
    assert first.status_code == second.status_code == 200
    assert next(answers) == ["203.0.113.9"], "the name was resolved again"


def test_only_the_public_addresses_of_a_name_are_used() -> None:
    tried = PinnedTransport(False, lambda host, port: ["127.0.0.1", "1.1.1.1"])
    assert tried._addresses("blog.example", 80) == ["1.1.1.1"]
