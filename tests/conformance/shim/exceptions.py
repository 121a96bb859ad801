"""Cases of the official suite that cannot pass with a client that is not made of httpx2 and pydantic, and why.

Every one of them is run, and has to fail: a case that passes after all is to be taken from here. Cases are named by
patterns of `fnmatch` against what pytest calls them, below `tests/`; a bracket of parameters is written `[[]…]`.
"""

from __future__ import annotations

HTTPX2 = "asserts on httpx2's own objects: their classes, identity, internals"
PYDANTIC = "asserts that answers are validated by pydantic; views check nothing and refuse nothing"
PRIVATE = "asserts on private parts of the official client that have no counterpart"
HEADERS = "our first attempt has no x-stainless-retry-count, and no header tells of the machine (docs/decisions/0008)"
EVENTS = "looks at events without data, which the standard drops and ours does not show"
GETTERS = "makes models whose attributes say something else than their data; a view says what its data says"
KEYS = "reports with keys that are no strings, which is no JSON; ours refuses it"
BYTES = "raw bytes as `body` are sent as ever; the official client warns that it will not always"
HANDLES = "files are sent from where they were opened when they were chosen, in both colours, and never read whole"
REPLACED = "puts another function in the place of a client's method; helpers ask for operations, not for methods"
LISTS = "a list that is read from a view is a fresh one: to change it, change `view['field']`"
ONE_OF = "strict schemas say `anyOf`: the API takes no `oneOf`"
NO_JSON = "an event that is no JSON raises APIError, which says what came"

WORDS = "asserts on the very sentences of the official client, which are its own"
UNASKED = "a key that is not sent is not asked for: the caller's own Authorization goes over a websocket"
EXCHANGED = "a token that was exchanged for another serves websockets too; the official client refuses to"
TOLERANT = "asserts that the state of a stream refuses what was not announced; ours makes up for it"
EARLY = "a timer that fires early is left to; made anew for each piece of a transcript it would be a thread each time"
UNTAKEN = "an argument that would only be refused is not taken at all"
UNGIVEN = "an argument that is None is as good as not given"
NOT_THERE = "reads recordings or examples that are not in the source distribution"
SAID = "an answer of audio is of the type its fields tell, whatever format was asked for"
HINTED = "how long to wait is read from each answer; the official client goes by the first"
MADE_HERE = "`parsed` is ours wherever it is found, and never sent back"
OLD = "puts itself in the place of websockets 13; ours asks for 15"

_NULLS, _LIVES = "lib/responses/test_null_output_items.py::", "lib/responses/test_lifecycle_replacements.py::"
_AZURE, _AUDIO = "lib/test_azure_provider_diagnostics.py::", "lib/test_audio_response_format.py::"

EXCEPTIONS: dict[str, tuple[str, ...]] = {
    UNTAKEN: (
        "lib/test_azure.py::test_client_copying_rejects_x509_workload_identity[[]*",
        "test_data_residency_regressions.py::test_legacy_azure_rejects_residency[[]*",
    ),
    UNGIVEN: ("test_data_residency_contract.py::test_explicit_base_url_conflicts[[]None-*",),
    NOT_THERE: (
        "lib/chat/test_completions_streaming.py::test_parse_*",
        "lib/chat/test_completions_streaming.py::test_*_logprobs_events",
        "lib/chat/test_completions_streaming.py::test_non_pydantic_response_format",
        "lib/chat/test_completions_streaming.py::test_allows_non_strict_tools_but_no_parsing",
        "lib/chat/test_completions_streaming.py::test_chat_completion_state_helper",
    ),
    SAID: (
        *(
            f"{_AUDIO}test_*sync_create_uses_selected_response_class[[]*-{each}-*"
            for each in ("translation-default", "translation-json", "transcription-default", "transcription-json")
        ),
        f"{_AUDIO}test_*sync_create_uses_selected_response_class[[]*-transcription-diarized-*",
    ),
    HINTED: (
        "lib/test_video_polling.py::test_pending_statuses_preserve_poll_interval_and_headers[[]*-default]",
        "lib/test_video_polling.py::test_pending_statuses_preserve_poll_interval_and_headers[[]*-server-hint]",
    ),
    MADE_HERE: (
        "lib/responses/test_parsed_output_replay_profile.py::*_after_peer_cleanup[[]retained-output-message-*",
    ),
    HANDLES: (
        "lib/test_uploads.py::test_path_handle_closes_and_failure_skips_completion[[]*",
        "lib/streaming/agents/test_files.py::test_batch_replacement_never_uploads_changed_sources[[]async]",
        "lib/streaming/agents/test_files.py::test_async_prepare_reads_each_file_only_when_ready_to_upload[[]async]",
        "lib/streaming/agents/test_files.py::test_async_path_reads_run_off_event_loop[[]async]",
    ),
    REPLACED: (
        "lib/streaming/agents/test_files.py::test_large_prepared_files_reach_the_api[[]*",
        "lib/streaming/agents/test_files.py::test_large_uploads_preserve_api_errors[[]*",
        "lib/streaming/agents/test_files.py::test_interruption_preserves_observed_uploads[[]*-True]",
    ),
    LISTS: ("lib/test_agent_session_message.py::test_output_text_reads_do_not_change_serialization",),
    UNASKED: (
        "lib/test_request_credentials.py::test_empty_credential_never_borrows_another_request_key[[]responses-*",
        "lib/responses/test_websocket_auth.py::test_callable_auth_refreshes_each_physical_handshake[[]client-*",
        "lib/responses/test_websocket_auth.py::test_callable_auth_refreshes_each_physical_handshake[[]connection-*",
        "lib/responses/test_websocket_auth.py::test_callable_auth_refreshes_each_physical_handshake[[]omit-*",
        *(
            f"lib/test_beta_realtime_headers.py::test_beta_realtime_forwards_effective_client_and_*[[]{each}-*"
            for each in ("client-authorization", "lowercase-extra", "lowercase-omit")
        ),
    ),
    EXCHANGED: (
        "lib/responses/test_websocket_auth.py::test_http_only_auth_refused_before_credentials_or_transport[[]workload_*",
        "lib/test_beta_realtime_auth_policy.py::test_bare_beta_provider_is_rejected_before_credentials_*[[]workload-*",
        "lib/test_beta_realtime_auth_policy.py::test_bare_beta_provider_is_rejected_before_credentials_*[[]x509-*",
        "lib/test_beta_realtime_auth_policy.py::test_x509_explicit_header_does_not_enable_unsupported_websocket_profile*",
    ),
    TOLERANT: (
        "lib/responses/test_websocket_accumulator.py::test_opt_in_accumulation_exact_terminals[[]*",
        f"{_LIVES}test_final_output_keeps_completed_lifecycle_replacements[[]*-duplicate-*",
        *(
            f"{_LIVES}test_final_output_keeps_completed_lifecycle_replacements[[]{each}-replacement-*"
            for each in ("changed", "dropped")
        ),
        f"{_LIVES}test_assigned_id_survives_final_replacement_without_done[[]changed-*",
        f"{_LIVES}test_assigned_id_survives_final_replacement_without_done[[]dropped-*",
        f"{_LIVES}test_completed_identity_belongs_to_one_sparse_position[[]different-index-*",
        *(
            f"lib/responses/test_null_output.py::test_retained_completed_call_identity[[]{each}-*sync]"
            for each in ("changed", "done-type", "done-id", "done-call")
        ),
        f"{_NULLS}test_lifecycle_response_cannot_change_identity[[]*",
        f"{_NULLS}test_stream_reports_content_without_an_output_item[[]*",
        f"{_NULLS}test_final_output_rejects_unfinished_real_item[[]*",
        *(
            f"{_NULLS}test_unfinished_item_remains_tracked_after_nonterminal_snapshot[[]{each}-*"
            for each in ("null", "partial", "wrong")
        ),
        f"{_NULLS}test_unfinished_sparse_index_cannot_be_reused_after_omission[[]*",
        "lib/test_streaming_deltas.py::test_invalid_indexed_delta[[]*",
    ),
    EARLY: ("lib/live/test_transcript_grouper_lifecycle.py::test_stale_timer_after_reschedule_and_close[[]*",),
    OLD: (
        "lib/test_realtime_websocket_contract.py::test_realtime_recv_bytes_preserves_text_and_binary[[]websockets-13-*",
    ),
    ONE_OF: ("lib/streaming/agents/test_output.py::test_discriminated_union_matches_responses",),
    NO_JSON: ("test_stream_mode.py::test_events_preserve_failures[[]*-json]",),
    HTTPX2: (
        "test_tls_hostname.py::test_async_tls_verifies_configured_hostname[[]aiohttp-*",
        "test_client.py::Test*::test_copy_default_options",
        "test_client.py::Test*::test_multipart_retry_rewinds_seekable_file[[]closed-file]",
        "test_client.py::test_unmapped_transport_errors[[]0-*",
        "test_client.py::test_unmapped_transport_errors[[]2-3-*",
        "test_streaming.py::test_request_errors_are_wrapped*",
        "test_files.py::test_skills_upload_zip*",
        "test_agent_session_environment_reset.py::*",
    ),
    PYDANTIC: (
        "test_vector_batch_compat.py::test_direct_validation_and_other_models_are_unchanged",
        "test_vector_batch_compat.py::test_other_validation_errors_survive[[]*",
        "test_vector_batch_compat.py::test_async_other_fields_still_validate",
        "test_vector_batch_compat.py::test_missing_discriminator_still_fails",
        "test_vector_batch_compat.py::test_validation_copy_does_not_modify_input",
        "lib/test_computer.py::test_computer_action_records_reject_array_shapes[[]False-True-*",
        "lib/test_computer.py::test_direct_computer_native_call_shape_and_empty_id[[]list-call-*",
        "test_client.py::Test*::test_client_response_validation_error",
        "test_client.py::Test*::test_received_text_for_expected_json",
        "test_*response.py::*response_parse_mismatched_basemodel",
    ),
    GETTERS: (
        f"{_NULLS}test_native_done_event_keeps_captured_call_after_await[[]*",
        "lib/test_decisions_tool_runner.py::test_refusal_snapshot_rechecks_name_after_native_getter[[]*",
        "lib/test_responses_tool_runner.py::test_responses_canonicalizes_computer_checks_before_dispatch[[]*",
        "lib/test_runner_eager_control.py::test_ledger_saves_the_inspected_native_response_without_subclass_rereads*",
        "lib/test_computer.py::test_computer_owns_one_checklist_before_policy_and_replay[[]*",
        "lib/test_computer.py::test_nested_check_fields_approved_are_the_fields_acknowledged[[]*",
    ),
    WORDS: (
        f"{_AZURE}test_invalid_provider_result_is_value_free[[]*",
        "lib/test_responses_tool_runner.py::test_context_budget_full_ledger_and_native_requests_across_completed_*",
        "lib/test_responses_tool_runner.py::test_context_budget_retains_checked_computer_and_latest_browser_state[[]*",
        "lib/test_responses_tool_runner.py::test_ledger_preserves_trusted_validation_failure_and_outer_receipts[[]*",
        "lib/test_responses_tool_runner.py::test_ledger_uncertain_function_preserves_outer_pending_and_rejects_*",
        "lib/test_responses_tool_runner.py::test_mixed_tools_recovery_and_replay[[]*",
        "lib/test_responses_tool_runner.py::test_skipped_browser_navigation_does_not_access_policies[[]*",
    ),
    KEYS: ("lib/test_browser.py::test_v1_lookup_cannot_grow_an_admitted_collection[[]*",),
    PRIVATE: (
        "lib/responses/test_responses.py::test_stream_state_ignores_output_item_added_with_null_item",
        "lib/test_assistants_helper_contracts.py::test_released_deprecation_wrapper_count[[]*",
        f"{_AUDIO}test_supported_formats_keep_exact_response_classes[[]*",
        f"{_AUDIO}test_default_compatibility_values[[]*",
        f"{_AUDIO}test_fallback_keeps_*",
        "test_decision_prompt_cache.py::test_legacy_breakpoint_exports",
        "test_decision_prompt_cache.py::test_shared_breakpoint_annotations",
        "lib/test_azure_auth.py::test_callable_api_key_refresh_and_copy[[]*",
        f"{_AZURE}test_nonempty_provider_result_remains_usable[[]*",
        "lib/test_request_credentials.py::test_prepare_hook_can_supply_missing_callable_auth[[]*",
        "lib/responses/test_websocket_auth.py::test_handshake_honors_prepared_url_query_and_headers[[]*",
        "lib/responses/test_websocket_session.py::test_sync_reconnect_preserves_lanes_registered_on_replacement_socket*",
        "lib/test_websocket_entry_cleanup.py::test_async_constructor_failure_closes_acquired_socket[[]*",
        "lib/responses/test_websocket_session.py::test_sync_recovery_cannot_replace_socket_during_send_preparation",
        "lib/test_realtime_translation.py::test_translation_prepares_each_attempt_and_refreshes_credentials[[]*",
        "lib/test_runner_typed_tools.py::test_existing_pydantic_tool_parser_*[[]None-unparsed_arguments-*",
        "lib/streaming/agents/test_files.py::test_async_selection_cancellation_does_not_wait_for_scan",
        "lib/streaming/agents/test_files.py::test_directory_selection_keeps_file_identity_until_open[[]*",
        "lib/streaming/agents/test_files.py::test_native_cancellation_keeps_opened_handles_owned_by_worker[[]*",
        "test_stream_mode.py::test_events_preserve_custom_stream_and_synthesis[[]*",
        "lib/test_computer.py::test_continuation_idempotency_uses_effective_client_headers[[]*",
        "test_client.py::Test*::test_api_key_before_after_refresh_*",
        "test_client.py::Test*::test_binary_content_retry_checks_prepared_options",
        "test_client.py::Test*::test_copy_auth",
        "test_client.py::Test*::test_copy_signature",
        "test_client.py::Test*::test_get_platform",
        "test_client.py::Test*::test_validate_headers",
        "test_client.py::test_retry_limits_and_backoff*",
        "test_files.py::TestDeepcopyWithPaths::*",
        "test_*response.py::*response_parse_custom_stream",
        "test_response.py::test_extract_response_type_direct_class_missing_type_arg",
        "test_streaming.py::test_request_errors_from_response_processing_are_not_wrapped*",
        "lib/test_bedrock_auth_conformance.py::test_redaction_fixture",
        "test_module_client.py::test_base_url_option",
        "test_module_client.py::test_bedrock_module_api_key_overrides_cached_env_token_after_load",
        "test_module_client.py::test_http_client_option",
        "lib/test_bedrock_provider.py::test_bearer_provider_does_not_load_botocore",
        "lib/test_bedrock_provider.py::test_provider_normalizes_responses_before_status_handling",
    ),
    HEADERS: (
        "test_client.py::Test*::test_retries_taken[[]*-0]",
        "test_client.py::Test*::test_retries_taken_new_response_class[[]0]",
    ),
    EVENTS: (
        "test_streaming.py::test_event_missing_data*",
        "test_streaming.py::test_multiple_events[[]*",
    ),
    BYTES: ("test_client.py::Test*::test_binary_content_upload_with_body_is_deprecated",),
}


def reason_for(case: str) -> str | None:
    """Why a case is excepted; `None` where it is not."""
    from fnmatch import fnmatchcase

    name = case.removeprefix("tests/")
    return next(
        (why for why, patterns in EXCEPTIONS.items() if any(fnmatchcase(name, each) for each in patterns)), None
    )
