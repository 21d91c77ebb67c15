import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.wire.rtsp.auth import (
    ClientAuthenticator,
    Scheme,
    ServerAuthenticator,
    Verdict,
    parse_challenges,
)


class Now:
    s = 1000.0

    def __call__(self) -> float:
        return self.s


def test_several_challenges_in_one_value_and_in_several_are_found() -> None:
    found = parse_challenges(
        ['Digest realm="a, \\"b\\"", nonce=abc, qop="auth,auth-int", Basic realm="c"', "NTLM"]
    )
    assert [challenge.scheme for challenge in found] == ["digest", "basic", "ntlm"]
    assert found[0].parameters == {"realm": 'a, "b"', "nonce": "abc", "qop": "auth,auth-int"}


@given(st.text(max_size=200))
def test_any_text_can_be_looked_at_for_challenges(text: str) -> None:
    parse_challenges([text])


def test_the_answer_to_a_digest_without_qop_is_that_of_rfc_2617() -> None:
    client = ClientAuthenticator("Mufasa", "Circle Of Life")
    nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
    assert client.learn([f'Digest realm="testrealm@host.com", nonce="{nonce}", opaque="5ccc"'])
    answer = client.authorization("GET", "/dir/index.html")
    assert answer is not None
    (parsed,) = parse_challenges([answer])
    assert parsed.parameters["response"] == "670fd8c2df070c60b045671b8b24ff02"
    assert parsed.parameters["opaque"] == "5ccc"
    assert "algorithm" not in parsed.parameters


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_answer_to_a_digest_with_qop_is_that_of_rfc_7616(
    algorithm: str, response: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # RFC 7616 §3.9.1, with its client nonce in place of a random one.
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    monkeypatch.setattr("vms.wire.rtsp.auth.os.urandom", lambda size: _Hexed(cnonce))
    client = ClientAuthenticator("Mufasa", "Circle of Life")
    client.learn(
        [
            f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
            f'nonce="{nonce}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
        ]
    )
    answer = client.authorization("GET", "/dir/index.html") or ""
    assert parse_challenges([answer])[0].parameters["response"] == response
    assert "nc=00000001" in answer


class _Hexed(bytes):
    def __new__(cls, text: str) -> "_Hexed":
        hexed = super().__new__(cls)
        hexed.text = text  # type: ignore[attr-defined]
        return hexed

    def hex(self) -> str:  # type: ignore[override]
        return self.text  # type: ignore[attr-defined]


@pytest.mark.parametrize("scheme", list(Scheme))
@given(user=st.text(max_size=20).filter(lambda text: ":" not in text), password=st.text(max_size=20))
def test_client_and_server_agree_in_every_scheme(scheme: Scheme, user: str, password: str) -> None:
    server = ServerAuthenticator(user, password, schemes=(scheme,))
    client = ClientAuthenticator(user, password)
    assert client.authorization("PLAY", "rtsp://h/s") is None
    assert client.learn(server.challenges())
    for method in ("DESCRIBE", "SETUP"):
        answer = client.authorization(method, "rtsp://h/s")
        assert server.check(method, answer) is Verdict.ACCEPTED
    wrong = ClientAuthenticator(user, password + "x")
    wrong.learn(server.challenges())
    assert server.check("PLAY", wrong.authorization("PLAY", "rtsp://h/s")) is Verdict.REFUSED


def test_the_strongest_scheme_is_answered() -> None:
    server = ServerAuthenticator("u", "p", schemes=(Scheme.BASIC, Scheme.DIGEST_MD5, Scheme.DIGEST_SHA256))
    client = ClientAuthenticator("u", "p")
    client.learn(server.challenges())
    assert "algorithm=SHA-256" in (client.authorization("PLAY", "*") or "")


def test_an_expired_nonce_is_stale_and_the_next_one_is_answered() -> None:
    now = Now()
    server = ServerAuthenticator("u", "p", nonce_lifetime_s=10, monotonic_s=now)
    client = ClientAuthenticator("u", "p")
    client.learn(server.challenges())
    now.s += 11
    assert server.check("PLAY", client.authorization("PLAY", "*")) is Verdict.STALE
    assert client.learn(server.challenges(stale=True))
    assert server.check("PLAY", client.authorization("PLAY", "*")) is Verdict.ACCEPTED


def test_a_refusal_of_the_same_nonce_is_final_and_of_another_is_not() -> None:
    client = ClientAuthenticator("u", "p")
    assert client.learn(['Digest realm="r", nonce="1"'])
    assert not client.learn(['Digest realm="r", nonce="1"'])
    assert client.learn(['Digest realm="r", nonce="1", stale=TRUE'])
    assert client.learn(['Digest realm="r", nonce="2"'])


def test_basic_is_tried_once() -> None:
    client = ClientAuthenticator("u", "p")
    assert client.learn(['Basic realm="r"'])
    assert not client.learn(['Basic realm="r"'])


@pytest.mark.parametrize(
    "challenge",
    ["", "NTLM", "Digest realm=x", "Digest nonce=1, algorithm=SHA-512", 'Digest nonce=1, qop="auth-int"'],
)
def test_a_challenge_that_cannot_be_answered_is_not(challenge: str) -> None:
    assert not ClientAuthenticator("u", "p").learn([challenge])


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic dTpw",
        "Digest",
        "Bearer x",
        "Digest nonce=1, algorithm=X",
        "Digest response=é",
    ],
)
def test_credentials_that_make_no_sense_are_refused(authorization: str | None) -> None:
    assert ServerAuthenticator("u", "p").check("PLAY", authorization) is Verdict.REFUSED


def test_a_nonce_that_the_server_did_not_make_is_not_accepted() -> None:
    server = ServerAuthenticator("u", "p", schemes=(Scheme.DIGEST_MD5,))
    client = ClientAuthenticator("u", "p")
    client.learn([f'Digest realm="vms", nonce="{hashlib.sha256().hexdigest()}"'])
    assert server.check("PLAY", client.authorization("PLAY", "*")) is Verdict.STALE


@pytest.mark.parametrize("scheme", list(Scheme))
def test_with_a_token_any_user_name_will_do_and_no_other_password(scheme: Scheme) -> None:
    server = ServerAuthenticator(None, "to:ken", schemes=(scheme,))
    for username, password, verdict in (
        ("anybody", "to:ken", Verdict.ACCEPTED),
        ("", "to:ken", Verdict.ACCEPTED),
        ("anybody", "token", Verdict.REFUSED),
        ("to:ken", "", Verdict.REFUSED),
    ):
        client = ClientAuthenticator(username, password)
        client.learn(server.challenges())
        answer = client.authorization("DESCRIBE", "rtsp://a/camera")
        assert server.check("DESCRIBE", answer) is verdict
