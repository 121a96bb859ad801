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

from tests.conformance.official import CASES, SKIPPED, prepare, run_ours, run_suite

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
    assert (outcome.cases, outcome.skipped) == (330, 6)


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


HELPERS = (
    "lib/chat",
    "lib/responses/test_azure_responses_policy_regression.py",
    "lib/responses/test_client_event_compat.py",
    "lib/responses/test_commentary_parsing.py",
    "lib/responses/test_deferred_tools.py",
    "lib/responses/test_error_diagnostics.py",
    "lib/responses/test_image_tool_errors.py",
    "lib/responses/test_lifecycle_replacements.py",
    "lib/responses/test_null_content.py",
    "lib/responses/test_null_output.py",
    "lib/responses/test_null_output_items.py",
    "lib/responses/test_parse_as.py",
    "lib/responses/test_parsed_output_replay_profile.py",
    "lib/responses/test_refusal_normal_lifecycle.py",
    "lib/responses/test_responses.py",
    "lib/test_assistant_tool_call_deltas.py",
    "lib/test_assistants.py",
    "lib/test_assistants_helper_contracts.py",
    "lib/test_audio_response_format.py",
    "lib/test_fine_tuning_positional_arguments.py",
    "lib/test_realtime_calls.py",
    "lib/test_streaming_deltas.py",
    "lib/test_uploads.py",
    "lib/test_vector_store_file_batches.py",
    "lib/test_vector_store_files.py",
    "lib/test_video_polling.py",
    "lib/test_webhook_endpoint_with_secret.py",
    "lib/test_webhooks.py",
    "test_compaction_trigger_ids.py",
    "test_decision_prompt_cache.py",
    "test_external_keys_contract.py",
    "test_external_storage.py",
    "test_image_safety_identifier.py",
    "test_large_payload_contract.py",
    "test_request_body_routing_order.py",
    "test_response_svg_reasoning.py",
    "test_safety_cases.py",
    "test_union_parsing.py",
    "test_usage_cache_write.py",
    "test_vector_batch_compat.py",
)
"""The files of the suite that are about what is parsed, put together from a stream, waited for, uploaded and checked,
and about fields and addresses of single operations."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_our_helpers_do_what_the_official_ones_do(base_url: str) -> None:
    files = [f"tests/{name}" for name in HELPERS]
    outcome = run_ours(base_url.removesuffix("/v1"), files, http_client="httpx2")
    assert outcome.failed == 0, outcome.output[-20_000:]
    # Excepted, each with its reason: see shim/exceptions.py.
    assert (outcome.cases, outcome.skipped) == (1254, 212)


REQUESTS = (
    "lib/test_azure.py",
    "lib/test_azure_auth.py",
    "lib/test_azure_deployment_path.py",
    "lib/test_azure_provider_diagnostics.py",
    "lib/test_request_credentials.py",
    "lib/test_vertex_live.py",
    "test_data_residency_contract.py",
    "test_data_residency_regressions.py",
    "test_retry_after_overflow.py",
    "test_tls_hostname.py",
)
"""The files of the suite that are about where requests go and with which key."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_our_requests_go_where_the_official_ones_go(base_url: str) -> None:
    files = [f"tests/{name}" for name in REQUESTS]
    outcome = run_ours(base_url.removesuffix("/v1"), files, http_client="httpx2")
    assert outcome.failed == 0, outcome.output[-20_000:]
    # Skipped by the suite itself: 32; excepted, each with its reason: see shim/exceptions.py.
    assert (outcome.cases, outcome.skipped) == (793, 32 + 132)


NOT_RUN = {
    "the package itself, its repository, its examples and its documentation": (
        "lib/live/test_audio_transcript_example.py",
        "lib/test_realtime_example_keepalive.py",
        "test_breaking_change_reexports.py",
        "test_consumer_compatibility.py",
        "test_dependency_constraints.py",
        "test_example_security.py",
        "test_lazy_imports.py",
        "test_mtls_http_client.py",
        "test_readme_metadata.py",
        "test_upload_examples.py",
        "test_uv_workflows.py",
    ),
    "how it is made of httpx2: ours takes clients of httpx2, httpx and aiohttp as well (tests/unit/transports)": (
        "test_httpx2.py",
        "test_httpx2_base.py",
        "test_httpx2_decompression.py",
        "test_httpx2_respx.py",
        "test_httpx2_workload.py",
        "test_httpx_compat.py",
    ),
    "how it is made of pydantic; its private functions, called by name": (
        "compat/test_tool_param.py",
        "lib/responses/test_compaction_progress.py",
        "lib/test_audio.py",
        "lib/test_embedding_request_context.py",
        "lib/test_embeddings.py",
        "lib/test_old_api.py",
        "lib/test_webhook_signature.py",
        "test_client_runtime_bindings.py",
        "test_extract_files.py",
        "test_log_levels.py",
        "test_models.py",
        "test_multipart_encoding.py",
        "test_platform.py",
        "test_qs.py",
        "test_required_args.py",
        "test_send_queue.py",
        "test_sse_framing.py",
        "test_transform.py",
        "test_utils/",
    ),
    "puts mocks in the place of a resource's own methods; ours ask for operations (tests/unit/api)": (
        "lib/test_file_processing.py",
        "lib/test_upload_runtime.py",
        "lib/test_vector_store_file_poll_timeout.py",
        "lib/test_vector_store_polling.py",
        "lib/test_vector_store_runtime.py",
    ),
    "looks for the lines of its log; ours has lines and a logger of its own (tests/unit/client)": (
        "test_debug_logging.py",
        "test_image_markup_upload.py",
        "test_voice_consents_security.py",
    ),
    "private parts around websockets: connectors, queues and hooks that cases put others in the place of": (
        "lib/test_azure_request_credentials.py",
        "lib/test_azure_websocket_redirects.py",
        "lib/test_realtime_websocket_recovery.py",
        "lib/test_websocket_connection_policy.py",
        "lib/test_websocket_recovery_lifecycle.py",
        "lib/test_websocket_redirects.py",
        "test_send_queue_reconnect.py",
        "test_websocket_connection_options.py",
        "test_websocket_initial_backlog.py",
        "test_websocket_recovery_regressions.py",
        "test_websocket_terminal_flush.py",
    ),
    "counts redirects on responses of httpx2; what becomes of keys is in tests/unit/client/test_azure.py": (
        "lib/test_azure_redirects.py",
    ),
    "private parts of workload identity; what ours does is in tests/unit/client/test_workload_identity.py": (
        "test_auth.py",
        "test_x509_host_authority.py",
        "test_x509_security_boundaries.py",
        "test_x509_workload_identity.py",
        "test_x509_workload_identity_hardening.py",
        "test_x509_workload_identity_regressions.py",
        "test_x509_workload_identity_transport.py",
    ),
}
"""What is not run with ours in the place of the official client, by the reason."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_file_of_the_suite_is_run_or_has_a_reason_not_to_be() -> None:
    tests = prepare() / "tests"
    groups = (CLIENT, AGENTS, RUNNERS, CLOUDS, SCREENS, SOCKETS, HELPERS, REQUESTS, *NOT_RUN.values())
    named = [name.rstrip("/") for group in groups for name in group]
    assert len(named) == len(set(named))
    assert not [name for name in named if not (tests / name).exists()]
    files = {path.relative_to(tests).as_posix() for path in tests.rglob("test_*.py")}
    without = {name for name in files if not any(name == each or name.startswith(f"{each}/") for each in named)}
    assert {name for name in without if not name.startswith("api_resources/")} == set()
