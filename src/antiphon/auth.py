"""Who vouches for a workload that has no API key: `OpenAI(workload_identity=...)`.

    client = OpenAI(workload_identity={
        "identity_provider_id": "idp_…",
        "service_account_id": "svc_…",
        "provider": k8s_service_account_token_provider(),
    })

The provider's token is exchanged for one of the API's, which is kept and renewed before it ends. Whatever goes wrong
with a provider raises `SubjectTokenProviderError`; an exchange that is refused raises `OAuthError`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypeAlias, TypedDict

from .kernel.errors import SubjectTokenProviderError

if TYPE_CHECKING:
    from os import PathLike

__all__ = (
    "SubjectTokenProvider",
    "SubjectTokenWorkloadIdentity",
    "WorkloadIdentity",
    "X509WorkloadIdentity",
    "azure_managed_identity_token_provider",
    "gcp_id_token_provider",
    "k8s_service_account_token_provider",
    "x509_workload_identity",
)


class SubjectTokenProvider(TypedDict):
    """Where the platform's own token comes from."""

    token_type: Literal["jwt", "id"]
    """`jwt` for an access token, `id` for an OpenID token."""
    get_token: Callable[[], str] | Callable[[], Awaitable[str]]
    """Gives the token. It may block: an async client calls it on a worker thread."""


class WorkloadIdentity(TypedDict):
    """A workload known by a token of its platform."""

    identity_provider_id: str
    service_account_id: str
    provider: SubjectTokenProvider
    refresh_buffer_seconds: NotRequired[float]
    """Seconds before its end that a token is renewed; 1200, and never more than half its life."""
    token_exchange_url: NotRequired[str]
    """Where tokens are exchanged, if not at https://auth.openai.com/oauth/token."""


SubjectTokenWorkloadIdentity: TypeAlias = WorkloadIdentity


class X509WorkloadIdentity(TypedDict):
    """A workload known by the certificate its transport presents, such as `NetworkTransport(cert=...)`."""

    type: Literal["x509"]
    identity_provider_id: str
    service_account_id: str
    refresh_buffer_seconds: NotRequired[float]
    """Seconds before its end that a token is renewed; 1200, and never more than half its life."""
    token_exchange_url: NotRequired[str]
    """Where tokens are exchanged, if not at https://mtls.auth.openai.com/oauth/token."""


def x509_workload_identity(
    *, identity_provider_id: str, service_account_id: str, refresh_buffer_seconds: float | None = None
) -> X509WorkloadIdentity:
    """An identity proved by the client certificate of the transport."""
    identity: X509WorkloadIdentity = {
        "type": "x509",
        "identity_provider_id": identity_provider_id,
        "service_account_id": service_account_id,
    }
    if refresh_buffer_seconds is not None:
        identity["refresh_buffer_seconds"] = refresh_buffer_seconds
    return identity


def k8s_service_account_token_provider(
    token_file_path: str | PathLike[str] = "/var/run/secrets/kubernetes.io/serviceaccount/token",
) -> SubjectTokenProvider:
    """The token that Kubernetes keeps in a file of the pod, read anew each time."""

    def get_token() -> str:
        try:
            with open(token_file_path, encoding="utf-8") as file:
                token = file.read().strip()
        except (OSError, ValueError) as error:
            raise SubjectTokenProviderError(f"the token file {token_file_path} cannot be read: {error}") from error
        if not token:
            raise SubjectTokenProviderError(f"the token file {token_file_path} is empty")
        return token

    return {"token_type": "jwt", "get_token": get_token}


def azure_managed_identity_token_provider(
    resource: str = "https://management.azure.com/",
    *,
    object_id: str | None = None,
    client_id: str | None = None,
    msi_res_id: str | None = None,
    api_version: str = "2018-02-01",
    timeout: float = 10.0,
    http_client: Any = None,
    endpoint: str = "http://169.254.169.254",
) -> SubjectTokenProvider:
    """The token of a managed identity, from Azure's instance metadata service.

    `object_id`, `client_id` or `msi_res_id` says which identity, where there are several. `timeout` is in seconds.
    `http_client` is a blocking client of httpx2 or httpx to ask with; `endpoint` where the service is.
    """
    query = {
        "api-version": api_version,
        "resource": resource,
        "object_id": object_id,
        "client_id": client_id,
        "msi_res_id": msi_res_id,
    }
    url = f"{endpoint}/metadata/identity/oauth2/token"

    def get_token() -> str:
        import json

        body = _metadata("Azure", url, query, {"Metadata": "true"}, timeout, http_client)
        try:
            answer = json.loads(body)
        except ValueError as error:
            raise SubjectTokenProviderError("Azure's metadata service answered something that is not JSON") from error
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise SubjectTokenProviderError("Azure's metadata service answered without an access_token")
        return token

    return {"token_type": "jwt", "get_token": get_token}


def gcp_id_token_provider(
    audience: str = "https://api.openai.com/v1",
    *,
    timeout: float = 10.0,
    http_client: Any = None,
    endpoint: str = "http://metadata.google.internal",
) -> SubjectTokenProvider:
    """The OpenID token of an instance's service account, from Google's metadata server.

    `audience` is whom the token is for, `timeout` is in seconds. `http_client` is a blocking client of httpx2 or
    httpx to ask with; `endpoint` where the server is.
    """
    url = f"{endpoint}/computeMetadata/v1/instance/service-accounts/default/identity"

    def get_token() -> str:
        headers = {"Metadata-Flavor": "Google"}
        token = _metadata("Google", url, {"audience": audience}, headers, timeout, http_client).strip()
        if not token:
            raise SubjectTokenProviderError("Google's metadata server answered with an empty token")
        return token

    return {"token_type": "id", "get_token": get_token}


def _metadata(
    whose: str, url: str, query: dict[str, str | None], headers: dict[str, str], timeout: float, http_client: Any
) -> str:
    """What a metadata service of the machine answers. Proxies are no way to it."""
    params = {name: value for name, value in query.items() if value is not None}
    try:
        if http_client is not None:
            answer = http_client.get(url, params=params, headers=headers, timeout=timeout)
            status, body = answer.status_code, answer.text
        else:
            status, body = _get(url, params, headers, timeout)
    except Exception as error:
        raise SubjectTokenProviderError(f"{whose}'s metadata service cannot be asked: {error}") from error
    if not 200 <= status < 300:
        raise SubjectTokenProviderError(f"{whose}'s metadata service answered {status}")
    text: str = body
    return text


def _get(url: str, params: dict[str, str], headers: dict[str, str], timeout: float) -> tuple[int, str]:
    from http.client import HTTPConnection
    from urllib.parse import urlencode, urlsplit

    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=timeout)
    try:
        connection.request("GET", f"{parts.path}?{urlencode(params)}", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
