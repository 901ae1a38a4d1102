"""Places for requests in flight."""

from __future__ import annotations

from voice_call.server.limits import InFlight, RequestLimits


def test_the_ninth_request_of_a_client_gets_no_place() -> None:
    places = InFlight(RequestLimits())
    assert [places.enter("192.0.2.1") for _ in range(9)] == [True] * 8 + [False]


def test_another_client_has_places_of_its_own() -> None:
    places = InFlight(RequestLimits(per_client=1))
    assert places.enter("192.0.2.1")
    assert places.enter("192.0.2.2")


def test_a_place_given_back_can_be_taken_again() -> None:
    places = InFlight(RequestLimits(per_client=1))
    places.enter("192.0.2.1")
    places.leave("192.0.2.1")
    assert places.enter("192.0.2.1")


def test_a_full_table_takes_no_further_client() -> None:
    places = InFlight(RequestLimits(clients=2))
    places.enter("192.0.2.1")
    places.enter("192.0.2.2")
    assert not places.enter("192.0.2.3")
    assert places.enter("192.0.2.2")


def test_a_client_without_requests_takes_no_room_in_the_table() -> None:
    places = InFlight(RequestLimits(clients=1))
    for number in range(10):
        assert places.enter(f"192.0.2.{number}")
        assert places.enter(f"192.0.2.{number}")
        places.leave(f"192.0.2.{number}")
        places.leave(f"192.0.2.{number}")


def test_the_documented_limits() -> None:
    limits = RequestLimits()
    assert (limits.body_bytes, limits.body_s) == (65_536, 5.0)
    assert (limits.per_client, limits.clients) == (8, 4096)
