"""A small OpenID Connect provider for the tests: authorization code, PKCE S256, RS256, a key set that rotates.

It logs in whoever `login` names, without asking, and can be told to give wrong tokens.
"""

import base64
import hashlib
import http.server
import json
import secrets
import threading
import time
import urllib.parse

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Provider:
    def __init__(self, client_id="plastron", client_secret="s3cret: +/"):
        self.client_id, self.client_secret = client_id, client_secret
        self.login, self.codes, self.asked_keys, self.spoil = "alice", {}, 0, {}
        self.keys = []
        self.rotate()
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, status, body, headers=()):
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query))
                if url.path == "/.well-known/openid-configuration":
                    self.answer(200, {
                        "issuer": provider.issuer, "authorization_endpoint": provider.issuer + "/authorize",
                        "token_endpoint": provider.issuer + "/token", "jwks_uri": provider.issuer + "/keys"})
                elif url.path == "/keys":
                    provider.asked_keys += 1
                    self.answer(200, {"keys": [key["public"] for key in provider.keys]})
                elif url.path == "/authorize":
                    assert query["response_type"] == "code" and query["client_id"] == provider.client_id
                    assert query["code_challenge_method"] == "S256" and "openid" in query["scope"].split()
                    code = secrets.token_urlsafe(16)
                    provider.codes[code] = query
                    back = query["redirect_uri"] + "?" + urllib.parse.urlencode({"code": code, "state": query["state"]})
                    self.answer(302, {}, [("Location", back)])
                else:
                    self.answer(404, {})

            def do_POST(self):
                form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                pair = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
                name, _, secret = pair.partition(":")
                asked = provider.codes.pop(form.get("code"), None)
                challenge = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
                if (urllib.parse.unquote(name), urllib.parse.unquote(secret)) != (provider.client_id, provider.client_secret):
                    self.answer(401, {"error": "invalid_client"})
                elif not asked or asked["redirect_uri"] != form["redirect_uri"] or asked["code_challenge"] != challenge:
                    self.answer(400, {"error": "invalid_grant"})
                else:
                    self.answer(200, {"access_token": "x", "token_type": "Bearer", "id_token": provider.token(asked["nonce"])})

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def rotate(self):
        """A new signing key; the old one leaves the set."""
        private = rsa.generate_private_key(65537, 2048)
        numbers = private.public_key().public_numbers()
        kid = secrets.token_hex(4)
        public = {
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": b64(numbers.n.to_bytes(256, "big")), "e": b64(numbers.e.to_bytes(3, "big"))}
        self.keys = [{"private": private, "public": public}]

    def token(self, nonce):
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": self.login, "aud": self.client_id, "iat": now, "exp": now + 300, "nonce": nonce,
                  "roles": ["head", "administrator"], "groups": ["auditor"]}
        header = {"alg": "RS256", "typ": "JWT", "kid": self.keys[0]["public"]["kid"]}
        claims.update(self.spoil.get("claims", {}))
        header.update(self.spoil.get("header", {}))
        signed = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
        key = self.spoil.get("key", self.keys[0]["private"])
        if header["alg"] == "none":
            return signed + "."
        if header["alg"] == "HS256":
            import hmac
            return signed + "." + b64(hmac.new(self.client_secret.encode(), signed.encode(), hashlib.sha256).digest())
        return signed + "." + b64(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))

    def end(self):
        self.server.shutdown()
        self.server.server_close()
