"""The official package's own suite passes against `antiphon serve`, every case of it: with the official client, which
tests our server, and with ours in its place, which tests our client.

`ANTIPHON_CONFORMANCE=test_models.py` runs a part of it, by its path below `tests/api_resources/`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conformance.official import CASES, SKIPPED, run_ours, run_suite

SCOPE = os.environ.get("ANTIPHON_CONFORMANCE", "")


@pytest.fixture
def base_url() -> Iterator[str]:
    command = [sys.executable, "-m", "antiphon", "serve", "--port", "0", "--unknown-ids", "conjure", "--log", "off"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        said = server.stdout.readline()
        address = re.search(r"http://[\d.]+:\d+", said)
        assert address is not None, said
        yield f"{address[0]}/v1"
    finally:
        server.terminate()
        server.wait(timeout=10)
        if server.stdout is not None:
            server.stdout.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_case_passes(base_url: str) -> None:
    outcome = run_suite(base_url, SCOPE)
    assert outcome.failed == 0, outcome.output[-20_000:]
    if SCOPE:
        assert outcome.cases > 0
    else:
        assert (outcome.cases, outcome.skipped) == (CASES, SKIPPED)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_case_passes_with_our_client(base_url: str) -> None:
    outcome = run_ours(base_url, [f"tests/api_resources/{SCOPE}"])
    assert outcome.failed == 0, outcome.output[-20_000:]
    if SCOPE:
        assert outcome.cases > 0
    else:
        assert (outcome.cases, outcome.skipped) == (CASES, SKIPPED)


CLIENT = (
    "test_client.py",
    "test_streaming.py",
    "test_legacy_response.py",
    "test_response.py",
    "test_files.py",
    "test_status_error_messages.py",
    "lib/test_pydantic.py",
)
"""The files of the suite that test a client by itself."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_our_client_does_what_the_official_one_does(base_url: str) -> None:
    # These cases presume an address without a path.
    outcome = run_ours(base_url.removesuffix("/v1"), [f"tests/{name}" for name in CLIENT], http_client="httpx2")
    assert outcome.failed == 0, outcome.output[-20_000:]
    # Skipped by the suite itself: 36; excepted, each with its reason: see shim/exceptions.py.
    assert (outcome.cases, outcome.skipped) == (469, 36 + 99)


AGENTS = (
    "lib/beta/agents",
    "lib/streaming/agents",
    "lib/test_agent_session_message.py",
    "test_agent_session_environment_reset.py",
    "test_agent_session_response_fields.py",
    "test_agent_session_update.py",
    "test_agent_turn_items_pagination.py",
    "test_agents_environment_token_page.py",
    "test_environment_credentials.py",
    "test_stream_mode.py",
    "test_vault_metadata_filters.py",
)
"""The files of the suite that are about agents."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_our_helpers_of_agents_do_what_the_official_ones_do(base_url: str) -> None:
    outcome = run_ours(base_url, [f"tests/{name}" for name in AGENTS], http_client="httpx2")
    assert outcome.failed == 0, outcome.output[-20_000:]
    # Skipped by the suite itself: 15; excepted, each with its reason: see shim/exceptions.py.
    assert (outcome.cases, outcome.skipped) == (564, 15 + 43)


RUNNERS = (
    "lib/test_decisions_tool_runner.py",
    "lib/test_responses_input_file_history.py",
    "lib/test_responses_tool_runner.py",
    "lib/test_runner_eager_control.py",
    "lib/test_runner_idempotency.py",
    "lib/test_runner_server_tools.py",
    "lib/test_runner_typed_tools.py",
)
"""The files of the suite that run tools."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_our_runners_do_what_the_official_ones_do(base_url: str) -> None:
    outcome = run_ours(base_url, [f"tests/{name}" for name in RUNNERS], http_client="httpx2")
    assert outcome.failed == 0, outcome.output[-20_000:]
    # Excepted, each with its reason: see shim/exceptions.py.
    assert (outcome.cases, outcome.skipped) == (2145, 46)


CLOUDS = (
    "test_module_client.py",
    "lib/test_bedrock.py",
    "lib/test_bedrock_auth_conformance.py",
    "lib/test_bedrock_credential_chain.py",
    "lib/test_bedrock_provider.py",
    "lib/test_bedrock_runtime.py",
    "lib/test_vertex_provider.py",
)
"""The files of the suite that are about clouds, and the client of the package, which may be one of theirs."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_our_clouds_are_asked_as_the_official_ones_are(base_url: str) -> None:
    outcome = run_ours(base_url, [f"tests/{name}" for name in CLOUDS], http_client="httpx2")
    assert outcome.failed == 0, outcome.output[-20_000:]
    # Excepted, each with its reason: see shim/exceptions.py.
    assert (outcome.cases, outcome.skipped) == (330, 14)


SCREENS = (
    "lib/test_browser.py",
    "lib/test_browser_capabilities.py",
    "lib/test_browser_control.py",
    "lib/test_browser_files.py",
    "lib/test_browser_navigation.py",
    "lib/test_browser_registration.py",
    "lib/test_browser_sensitive.py",
    "lib/test_browser_zoom.py",
    "lib/test_computer.py",
)
"""The files of the suite that are about the computer and the browser, by themselves and in a runner."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_our_toolsets_do_what_the_official_ones_do(base_url: str) -> None:
    outcome = run_ours(base_url, [f"tests/{name}" for name in SCREENS], http_client="httpx2")
    assert outcome.failed == 0, outcome.output[-20_000:]
    # Excepted, each with its reason: see shim/exceptions.py.
    assert (outcome.cases, outcome.skipped) == (1262, 28)


SOCKETS = (
    "lib/live/test_delegation_transport.py",
    "lib/live/test_sideband_events.py",
    "lib/live/test_transcript_grouper.py",
    "lib/live/test_transcript_grouper_lifecycle.py",
    "lib/live/test_transcript_grouping.py",
    "lib/live/test_websocket_roles.py",
    "lib/responses/test_websocket_accumulator.py",
    "lib/responses/test_websocket_accumulator_details.py",
    "lib/responses/test_websocket_accumulator_rich.py",
    "lib/responses/test_websocket_auth.py",
    "lib/responses/test_websocket_contract.py",
    "lib/responses/test_websocket_event_aliases.py",
    "lib/responses/test_websocket_live.py",
    "lib/responses/test_websocket_preconnect.py",
    "lib/responses/test_websocket_session.py",
    "lib/responses/test_websocket_session_overflow.py",
    "lib/test_beta_realtime_auth_policy.py",
    "lib/test_beta_realtime_headers.py",
    "lib/test_beta_realtime_websocket_options.py",
    "lib/test_generated_websocket_compression.py",
    "lib/test_microphone.py",
    "lib/test_realtime_reference_inputs.py",
    "lib/test_realtime_translation.py",
    "lib/test_realtime_translation_close.py",
    "lib/test_realtime_websocket_contract.py",
    "lib/test_websocket_entry_cleanup.py",
    "lib/test_websocket_query_serialization.py",
    "lib/test_websocket_urls.py",
    "test_websocket_raw_reconnect_wire.py",
)
"""The files of the suite that are about websockets and the helpers on top of them."""

ELSEWHERE = "tests/lib/live/test_transcript_grouping.py::test_fractional_source_deadlines"
"""Runs in a process of its own, where the official package is what it is."""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_our_helpers_on_websockets_do_what_the_official_ones_do(base_url: str) -> None:
    files = [f"tests/{name}" for name in SOCKETS]
    outcome = run_ours(base_url, [*files, f"--deselect={ELSEWHERE}"], http_client="httpx2")
    assert outcome.failed == 0, outcome.output[-20_000:]
    # Skipped by the suite itself: 2; excepted, each with its reason: see shim/exceptions.py.
    assert (outcome.cases, outcome.skipped) == (1382, 2 + 62)
