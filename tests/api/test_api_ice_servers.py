"""The STUN and TURN servers of the configuration, as viewers are told of them."""

import base64
import hashlib
import hmac

import pytest

from vms.api.ice_servers import CREDENTIAL_LIFE_S, IceServer, ice_servers, link_headers
from vms.common.clock import NS, ManualClock
from vms.config import ConfigError, WebRtcConfig, parse_config

SECRET = "shared-with-the-turn-server"


def configured(*servers: dict[str, object]) -> WebRtcConfig:
    return parse_config({"webrtc": {"ice_servers": list(servers)}}).webrtc


def test_servers_are_told_as_they_are_configured() -> None:
    config = configured(
        {"urls": "stun:stun.example.net"},
        {
            "urls": ["turn:a.example.net:3478", "turns:a.example.net?transport=tcp"],
            "username": "u",
            "credential": "pw",
        },
    )
    stun, turn = ice_servers(config, ManualClock())
    assert stun == IceServer(("stun:stun.example.net",))
    assert stun.document() == {"urls": ["stun:stun.example.net"]}
    assert turn.document() == {
        "urls": ["turn:a.example.net:3478", "turns:a.example.net?transport=tcp"],
        "username": "u",
        "credential": "pw",
    }
    assert "pw" not in repr(turn)
    assert "pw" not in repr(config)


def test_a_shared_secret_makes_credentials_that_end_by_themselves() -> None:
    clock = ManualClock()
    config = configured({"urls": "turn:a.example.net", "secret": SECRET})
    (first,) = ice_servers(config, clock)
    assert first.username is not None
    assert first.credential is not None
    expires, _, user = first.username.partition(":")
    assert (int(expires), user) == (clock.wall_ns() // NS + CREDENTIAL_LIFE_S, "vms")
    made = hmac.digest(SECRET.encode(), first.username.encode(), hashlib.sha1)
    assert base64.b64decode(first.credential) == made
    clock.advance(60)
    (later,) = ice_servers(config, clock)
    assert later.username != first.username
    assert SECRET not in repr(later) + repr(config) + "".join(link_headers([later]))


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        ({"urls": "http://example.net"}, "no STUN or TURN URL"),
        ({"urls": "stun:a.example.net>; rel=x"}, "no STUN or TURN URL"),
        ({"urls": "stun:a.example.net\r\nX: y"}, "no STUN or TURN URL"),
        ({"urls": []}, r"urls"),
        ({"urls": "turn:a.example.net"}, "needs username and credential"),
        ({"urls": "turn:a.example.net", "username": "u"}, "belong together"),
        (
            {"urls": "turn:a.example.net", "username": "u", "credential": "p", "secret": SECRET},
            "remove username",
        ),
        ({"urls": "turn:a.example.net", "secret": "short"}, "secret"),
        ({"urls": "turn:a.example.net", "username": "u\n", "credential": "p"}, "ASCII"),
    ],
)
def test_a_server_that_cannot_work_is_refused_with_what_to_do(server: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        configured(server)
