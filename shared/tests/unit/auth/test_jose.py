"""Tokens: what is accepted, and everything a forger may try."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from town_kit.auth import jose
from town_kit.auth.jose import DecryptionKey, SigningKey, TokenRefused, generate_signing_key, sign, verify

NOW = datetime(2027, 1, 4, 9, 0, tzinfo=UTC)
KEY = generate_signing_key()
KEYS = {KEY.kid: KEY.public}


def claims(**changes: Any) -> dict[str, Any]:
    whole = {
        "iss": "https://id.example",
        "aud": "town",
        "sub": "1",
        "jti": "a",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 300,
    } | changes
    return {name: value for name, value in whole.items() if value is not ...}


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(header: str | dict[str, Any], payload: str | dict[str, Any] | None = None, key: SigningKey = KEY) -> str:
    """A token with any header and payload bytes, under a genuine signature of ``key``."""
    head = header if isinstance(header, str) else json.dumps(header)
    body = payload if isinstance(payload, str) else json.dumps(payload or claims())
    signed = f"{encode(head.encode())}.{encode(body.encode())}"
    der = key._key.private_key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)
    return f"{signed}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def judge(token: str, **changes: Any) -> dict[str, Any]:
    return verify(
        token,
        KEYS,
        **({"typ": "at+jwt", "issuer": "https://id.example", "audience": "town", "now": NOW} | changes),
    )


def header(**changes: Any) -> dict[str, Any]:
    return {"alg": "ES256", "typ": "at+jwt", "kid": KEY.kid} | changes


def test_a_token_of_ours_is_accepted() -> None:
    assert judge(sign(claims(), KEY, "at+jwt")) == claims()
    assert judge(forged(header())) == claims()


def test_a_list_of_audiences_must_name_ours() -> None:
    assert judge(sign(claims(aud=["other", "town"]), KEY, "at+jwt"))["sub"] == "1"
    with pytest.raises(TokenRefused, match="audience"):
        judge(sign(claims(aud=["other"]), KEY, "at+jwt"))


@pytest.mark.case("D-20")
@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (lambda: forged(header(alg="none")), "algorithm"),
        (
            lambda: f"{encode(json.dumps(header(alg='none')).encode())}.{encode(json.dumps(claims()).encode())}.",
            "algorithm",
        ),
        (lambda: forged(header(alg="HS256")), "algorithm"),
        (lambda: forged(header(typ="dpop+jwt")), "type"),
        (lambda: forged({"alg": "ES256", "kid": KEY.kid}), "type"),
        (lambda: forged(header(kid="../../etc/passwd")), "key-id"),
        (lambda: forged(header(kid="' OR 1=1 --")), "key-id"),
        (lambda: forged(header(kid="unknown")), "unknown-key"),
        (lambda: forged(header(kid=7)), "key-id"),
        (lambda: forged(header(jku="https://evil.example/jwks.json")), "forbidden-header"),
        (lambda: forged(header(x5u="https://evil.example/x")), "forbidden-header"),
        (lambda: forged(header(jwk=generate_signing_key().public.as_jwk())), "forbidden-header"),
        (lambda: forged(header(crit=["exp"])), "forbidden-header"),
        (lambda: forged('{"alg":"ES256","typ":"x","typ":"at+jwt","kid":"' + KEY.kid + '"}'), "duplicate-member"),
        (lambda: forged(header(), '{"sub":"1","sub":"mayor"}'), "duplicate-member"),
        (lambda: forged(header(), '{"a":{"b":1,"b":2}}'), "duplicate-member"),
        (lambda: forged(header(pad="x" * 2100)), "header-too-long"),
        (lambda: forged(header(), "[1]"), "malformed-claims"),
        (lambda: forged(header(), '{"exp":NaN}'), "malformed-claims"),
        (lambda: forged(header(), key=generate_signing_key()), "signature"),
        (lambda: "not a token", "malformed"),
        (lambda: "a.b.c", "malformed-header"),
        (lambda: "é.b.c", "malformed"),
        (lambda: "a." + "b" * 20_000 + ".c", "malformed"),
    ],
)
def test_a_forged_or_ambiguous_token_is_refused(token: Any, reason: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        judge(token())
    assert refused.value.reason_code == reason


@pytest.mark.case("D-20")
def test_the_public_key_does_not_serve_as_a_shared_secret() -> None:
    body = f"{encode(json.dumps(header(alg='HS256')).encode())}.{encode(json.dumps(claims()).encode())}"
    mac = hmac.HMAC(KEY._key.as_pem(private=False), hashes.SHA256())
    mac.update(body.encode())
    with pytest.raises(TokenRefused, match="algorithm"):
        judge(f"{body}.{encode(mac.finalize())}")
    with pytest.raises(TokenRefused, match="algorithm"):
        judge(f"{body}.{encode(b'x' * 32)}", algorithms=("ES256", "HS256"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": ...}, "missing-claim"),
        ({"iat": ...}, "missing-claim"),
        ({"jti": ...}, "missing-claim"),
        ({"aud": ...}, "missing-claim"),
        ({"iss": "https://other.example"}, "issuer"),
        ({"exp": int(NOW.timestamp()) - 10}, "expired"),
        ({"exp": "2099-01-01"}, "malformed-claims"),
        ({"exp": True}, "malformed-claims"),
        ({"iat": int(NOW.timestamp()) + 11}, "not-yet-valid"),
        ({"nbf": int(NOW.timestamp()) + 11}, "not-yet-valid"),
    ],
)
def test_a_token_that_claims_too_little_or_for_another_time_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        judge(sign(claims(**changes), KEY, "at+jwt"))
    assert refused.value.reason_code == reason


def test_clocks_may_differ_by_ten_seconds() -> None:
    assert judge(sign(claims(iat=int(NOW.timestamp()) + 10), KEY, "at+jwt"))
    assert judge(sign(claims(), KEY, "at+jwt"), now=NOW + timedelta(seconds=309))


def test_a_changed_claim_breaks_the_signature() -> None:
    head, _, signature = sign(claims(), KEY, "at+jwt").split(".")
    with pytest.raises(TokenRefused, match="signature"):
        judge(f"{head}.{encode(json.dumps(claims(sub='2')).encode())}.{signature}")


def test_a_shared_secret_signs_only_with_hs256_and_32_bytes() -> None:
    secret = b"s" * 32
    token = jose.sign_with_secret(claims(), secret, "JWT")
    rules = {"typ": "JWT", "issuer": "https://id.example", "audience": "town", "now": NOW}
    assert jose.verify_with_secret(token, secret, **rules)["sub"] == "1"
    with pytest.raises(TokenRefused, match="signature"):
        jose.verify_with_secret(token, b"t" * 32, **rules)
    with pytest.raises(TokenRefused, match="algorithm"):
        jose.verify_with_secret(sign(claims(), KEY, "JWT"), secret, **rules)
    with pytest.raises(ValueError, match="32"):
        jose.verify_with_secret(token, b"short", **rules)


def test_a_jwks_gives_its_keys_back() -> None:
    read = jose.parse_jwks(json.loads(json.dumps(jose.jwks([KEY.public]))))
    assert list(read) == [KEY.kid]
    assert verify(sign(claims(), KEY, "at+jwt"), read, typ="at+jwt", issuer=None, audience=None, now=NOW)


def test_a_jwks_with_a_private_a_weak_or_a_repeated_key_is_refused() -> None:
    public = KEY.public.as_jwk()
    weak = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
    modulus = encode(weak.n.to_bytes(128, "big"))
    for keys, reason in (
        ([KEY._key.as_dict(private=True)], "private"),
        ([public, public], "kid"),
        ([{"kty": "RSA", "n": modulus, "e": "AQAB", "kid": "w", "alg": "PS256"}], "2048"),
        ([public | {"kid": "../x"}], "kid"),
    ):
        with pytest.raises(ValueError, match=reason):
            jose.parse_jwks({"keys": keys})
    with pytest.raises(ValueError, match="JWKS"):
        jose.parse_jwks({})


def test_keys_for_other_uses_are_passed_over() -> None:
    box = DecryptionKey.generate()
    assert jose.parse_jwks({"keys": [box.public.as_jwk(use="enc"), {"kty": "OKP", "crv": "Ed25519", "x": "AA"}]}) == {}


def test_a_key_file_is_for_its_owner_alone_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    KEY.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.load(path).kid == KEY.kid
    with pytest.raises(FileExistsError):
        KEY.save(path)


def test_a_key_file_that_is_not_a_private_p256_key_is_refused() -> None:
    with pytest.raises(ValueError, match="private"):
        SigningKey.from_pem(KEY._key.as_pem(private=False))
    with pytest.raises(ValueError, match="PEM"):
        SigningKey.from_pem(b"no key")


def test_what_is_encrypted_for_a_key_opens_with_that_key_alone() -> None:
    box, other = DecryptionKey.generate(), DecryptionKey.generate()
    token = jose.encrypt(b"secret", box.public)
    assert jose.decrypt(token, {box.kid: box}) == b"secret"
    assert "secret" not in token
    assert token != jose.encrypt(b"secret", box.public)
    with pytest.raises(TokenRefused, match="unknown-key"):
        jose.decrypt(token, {other.kid: other})
    with pytest.raises(TokenRefused, match="decryption"):
        jose.decrypt(token, {box.kid: other})


def test_a_changed_or_compressed_encryption_is_refused() -> None:
    box = DecryptionKey.generate()
    parts = jose.encrypt(b"secret" * 10, box.public).split(".")
    changed = parts[3][:-1] + ("A" if parts[3][-1] != "A" else "B")
    with pytest.raises(TokenRefused, match="decryption"):
        jose.decrypt(".".join([*parts[:3], changed, parts[4]]), {box.kid: box})
    head = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": box.kid, "zip": "DEF"}
    with pytest.raises(TokenRefused, match="forbidden-header"):
        jose.decrypt(".".join([encode(json.dumps(head).encode()), *parts[1:]]), {box.kid: box})
    with pytest.raises(TokenRefused, match="algorithm"):
        jose.decrypt(".".join([encode(json.dumps(head | {"alg": "dir"}).encode()), *parts[1:]]), {box.kid: box})


def test_a_key_never_shows_itself() -> None:
    assert "_key" not in repr(KEY)
    assert "_key" not in repr(KEY.public)
