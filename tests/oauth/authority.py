"""A real authorisation server: authlib's (RFC 6749, 7636, 8628) on Starlette. Its people say yes unless told otherwise.

Every token and code has its owner, a rotated refresh token that comes again revokes all of its family (RFC 9700 4.14),
and `scripted` puts an answer of Google's or Microsoft's own in place of the token endpoint's next.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from authlib.common.security import generate_token
from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Error, OAuth2Payload, OAuth2Request
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

SCOPES = ("https://mail.test/", "offline_access")


@dataclass
class Client:
    """A registered program; `secret` empty: a public one."""

    client_id: str
    secret: str = ""
    grants: tuple[str, ...] = ("authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code")

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return ""

    def get_allowed_scope(self, scope: str) -> str:
        return " ".join(word for word in (scope or "").split() if word in SCOPES)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        # RFC 8252 7.3: any port of loopback.
        return redirect_uri.startswith("http://127.0.0.1:")

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == self.secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == ("client_secret_post" if self.secret else "none")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grants


@dataclass
class Code:
    """An authorization code or a device code that waits for its redemption."""

    client_id: str
    user: str
    scope: str
    redirect_uri: str = ""
    code_challenge: str = ""
    code_challenge_method: str = ""
    user_code: str = ""
    verdict: bool | None = None
    expired: bool = False

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_client_id(self) -> str:
        return self.client_id

    def get_user_code(self) -> str:
        return self.user_code

    def is_expired(self) -> bool:
        return self.expired


@dataclass
class Family:
    """One grant: the refresh token that is good, those that were, and the access tokens that are."""

    client_id: str
    user: str
    scope: str
    refresh: str
    spent: set[str] = field(default_factory=set)
    access: set[str] = field(default_factory=set)

    def check_client(self, client: Client) -> bool:
        return client.client_id == self.client_id

    def get_scope(self) -> str:
        return self.scope


class _Payload(OAuth2Payload):  # type: ignore[misc]
    def __init__(self, data: dict[str, str]) -> None:
        self._data = data

    @property
    def data(self) -> dict[str, str]:
        return self._data

    @property
    def datalist(self) -> Any:
        return defaultdict(list, {name: [value] for name, value in self._data.items()})


class _Asked(OAuth2Request):  # type: ignore[misc]
    def __init__(self, request: Request, form: dict[str, str]) -> None:
        super().__init__(request.method, str(request.url), headers=dict(request.headers))
        self._form = form
        self._args = dict(request.query_params)
        self.payload = _Payload({**self._args, **form})

    @property
    def args(self) -> dict[str, str]:
        return self._args

    @property
    def form(self) -> dict[str, str]:
        return self._form


class Authority(AuthorizationServer):  # type: ignore[misc]
    """The server and what its people do. Its fields may be changed between requests."""

    def __init__(self) -> None:
        super().__init__(scopes_supported=SCOPES)
        self.clients: dict[str, Client] = {}
        self.codes: dict[str, Code] = {}
        self.devices: dict[str, Code] = {}
        self.families: list[Family] = []
        self.lifetime = 3600
        self.rotates = False
        self.says_yes = True
        self.grants_scope: str | None = None
        self.slow_down = 0
        self.scripted: list[tuple[int, dict[str, Any]]] = []
        self.asked: list[dict[str, str]] = []
        self.issued: list[str] = []
        self.register_token_generator("default", self._generator())
        self.register_grant(_ByCode, [CodeChallenge(required=True)])
        self.register_grant(_ByRefresh)
        self.register_grant(_ByDevice)
        self.register_endpoint(_DeviceEndpoint)

    def owner(self, access_token: str) -> str | None:
        """Whose token it is, None: nobody's, or no more."""
        return next((family.user for family in self.families if access_token in family.access), None)

    def outdate(self) -> None:
        """End every access token now; the grants stay."""
        for family in self.families:
            family.access.clear()

    def revoke(self) -> None:
        """End every grant."""
        self.families.clear()

    @property
    def renewals(self) -> int:
        """How often a refresh token was shown."""
        return sum(asked.get("grant_type") == "refresh_token" for asked in self.asked)

    @property
    def secrets(self) -> list[str]:
        """Everything that may show nowhere."""
        shown = {
            asked[name] for asked in self.asked for name in ("code", "code_verifier", "device_code") if name in asked
        }
        return [*self.issued, *shown, *(client.secret for client in self.clients.values() if client.secret)]

    def query_client(self, client_id: str) -> Client | None:
        return self.clients.get(client_id)

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        family = request.refresh_token if isinstance(request.refresh_token, Family) else None
        if family is None:
            scope = token["scope"] if self.grants_scope is None else self.grants_scope
            family = Family(request.client.client_id, request.user, scope, token.get("refresh_token", ""))
            token["scope"] = scope
            self.families.append(family)
        elif "refresh_token" in token:
            family.spent.add(family.refresh)
            family.refresh = token["refresh_token"]
        family.access.add(token["access_token"])
        self.issued += [token["access_token"], *([token["refresh_token"]] if "refresh_token" in token else [])]

    def create_oauth2_request(self, request: Any) -> Any:
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> Response:
        if isinstance(body, dict):
            return JSONResponse(body, status_code=status, headers=dict(headers))
        return PlainTextResponse(body, status_code=status, headers=dict(headers))

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def _generator(self) -> BearerTokenGenerator:
        return BearerTokenGenerator(
            lambda **_: f"access.{generate_token(40)}/+==",
            lambda **_: f"refresh.{generate_token(40)}/+==",
            lambda *_: self.lifetime,
        )

    def app(self) -> Starlette:
        """Its four endpoints, and one that tells mail servers whose a token is (RFC 7662)."""

        async def authorize(request: Request) -> Response:
            asked = _Asked(request, {})
            try:
                grant = self.get_consent_grant(asked, end_user=None)
            except OAuth2Error as error:
                return self.handle_error_response(asked, error)  # type: ignore[no-any-return]
            user = asked.args.get("login_hint") if self.says_yes else None
            return self.create_authorization_response(asked, grant_user=user, grant=grant)  # type: ignore[no-any-return]

        async def token(request: Request) -> Response:
            asked = _Asked(request, await _form(request))
            self.asked.append(asked.form)
            if self.scripted:
                status, body = self.scripted.pop(0)
                return JSONResponse(body, status_code=status)
            return self.create_token_response(asked)  # type: ignore[no-any-return]

        async def device(request: Request) -> Response:
            asked = _Asked(request, await _form(request))
            if self.scripted:
                status, body = self.scripted.pop(0)
                return JSONResponse(body, status_code=status)
            return self.create_endpoint_response("device_authorization", asked)  # type: ignore[no-any-return]

        async def introspect(request: Request) -> Response:
            form = await _form(request)
            owner = self.owner(str(form.get("token") or request.query_params.get("token")))
            return JSONResponse({"active": owner is not None, "username": owner or "", "email": owner or ""})

        return Starlette(
            routes=[
                Route("/authorize", authorize),
                Route("/token", token, methods=["POST"]),
                Route("/device", device, methods=["POST"]),
                Route("/introspect", introspect, methods=["GET", "POST"]),
                Route("/moved", lambda _: Response(status_code=302, headers={"Location": "/token"}), methods=["POST"]),
                Route("/broken", lambda _: PlainTextResponse("oops", status_code=503), methods=["POST"]),
                Route("/page", lambda _: PlainTextResponse("<html>"), methods=["POST"]),
                Route("/endless", lambda _: PlainTextResponse("x" * 1_000_000), methods=["POST"]),
            ]
        )


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode("ascii"), keep_blank_values=True))


class _ByCode(AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_post", "none")

    def save_authorization_code(self, code: str, request: Any) -> None:
        self.server.codes[code] = Code(
            client_id=request.client.client_id,
            user=request.user,
            scope=request.scope,
            redirect_uri=request.payload.redirect_uri,
            code_challenge=request.payload.data.get("code_challenge", ""),
            code_challenge_method=request.payload.data.get("code_challenge_method", ""),
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found = self.server.codes.get(code)
        return found if found is not None and found.client_id == client.client_id else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        self.server.codes = {key: code for key, code in self.server.codes.items() if code is not authorization_code}

    def authenticate_user(self, authorization_code: Code) -> str:
        return authorization_code.user


class _ByRefresh(RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_post", "none")

    @property
    def INCLUDE_NEW_REFRESH_TOKEN(self) -> bool:  # noqa: N802 (authlib's name)
        return bool(self.server.rotates)

    def authenticate_refresh_token(self, refresh_token: str) -> Family | None:
        for family in self.server.families:
            if refresh_token in family.spent:
                self.server.families.remove(family)
                return None
        return next((family for family in self.server.families if family.refresh == refresh_token), None)

    def authenticate_user(self, refresh_token: Family) -> str:
        return refresh_token.user

    def revoke_old_credential(self, refresh_token: Family) -> None:
        """`save_token` has spent it."""


class _ByDevice(DeviceCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_post", "none")

    def query_device_credential(self, device_code: str) -> Code | None:
        found: Code | None = self.server.devices.get(device_code)
        return found

    def query_user_grant(self, user_code: str) -> tuple[str, bool] | None:
        found = next(code for code in self.server.devices.values() if code.user_code == user_code)
        return None if found.verdict is None else (found.user, found.verdict)

    def should_slow_down(self, credential: Code) -> bool:
        self.server.slow_down -= 1
        return bool(self.server.slow_down >= 0)


class _DeviceEndpoint(DeviceAuthorizationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = ("client_secret_post", "none")
    INTERVAL = 1

    def get_verification_uri(self) -> str:
        return "https://login.mail.test/device"

    def save_device_credential(self, client_id: str, scope: str, data: dict[str, Any]) -> None:
        self.server.devices[data["device_code"]] = Code(
            client_id=client_id, user="", scope=scope, user_code=data["user_code"]
        )
