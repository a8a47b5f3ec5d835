"""vLLM arguments that Manta does not take from a file, each with the reason and what to do instead.

Three kinds: what runs code or opens a door on behalf of a file or a client, what belongs to vLLM's own HTTP server
(ours stands in front of it), and what another key of ours already says.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Refusal(NamedTuple):
    """Why an argument is refused and how to reach the same end."""

    reason: str
    fix: str


def _same(names: str, reason: str, fix: str) -> dict[str, Refusal]:
    return dict.fromkeys(names.split(), Refusal(reason, fix))


_RUNS_CODE = "it imports Python code named in a file"
_OWN_SERVER = "it concerns vLLM's own HTTP server, which no client reaches"
_OPENS_SOCKET = "it opens a socket without authentication"
_PLUGIN = "install the code as a package with the entry point group"
_LOGS_TEXT = "prompts and answers do not belong in logs"

REFUSED: Mapping[str, Refusal] = {
    # code and doors
    **_same(
        "trust_remote_code",
        "it runs Python code that comes with the weights",
        "leave it out and use a model that vLLM knows by itself",
    ),
    **_same("worker_cls worker_extension_cls scheduler_cls model_class_overrides", _RUNS_CODE, "leave it out"),
    **_same("tool_parser_plugin reasoning_parser_plugin", _RUNS_CODE, f"{_PLUGIN} 'vllm.general_plugins'"),
    **_same("logits_processors", _RUNS_CODE, f"{_PLUGIN} 'vllm.logits_processors'"),
    **_same("io_processor_plugin", "it serves pooling models, not chat", "leave it out"),
    **_same(
        "trust_request_chat_template",
        "a client's template can run without end",
        "set 'chat_template' to the one file to use",
    ),
    **_same(
        "enable_prompt_embeds enable_mm_embeds",
        "it unpickles tensors that a client sends",
        "leave it out; clients send text",
    ),
    **_same("allowed_local_media_path", "it lets requests read this machine's files", "leave it out"),
    **_same("allowed_media_domains", "the engine fetches nothing from the network", "leave it out"),
    **_same("tool_server", "it runs code that a model wrote", "leave it out; tools run at the client"),
    **_same("kv_transfer_config kv_events_config ec_transfer_config weight_transfer_config", _OPENS_SOCKET,
            "leave it out; 'kv_offloading_size' keeps more cache on one machine"),
    **_same("data_parallel_supervisor_port data_parallel_multi_port_external_lb data_parallel_external_lb "
            "data_parallel_hybrid_lb data_parallel_rank data_parallel_start_rank data_parallel_address "
            "data_parallel_rpc_port dp_supervisor_probe_interval_s dp_supervisor_probe_timeout_s "
            "dp_supervisor_probe_failure_threshold", _OPENS_SOCKET, "set 'autoscaling.max_replicas' for more engines"),
    **_same("master_addr master_port nnodes node_rank", "Ray places the workers of an engine",
            "set 'distributed_executor_backend: ray' to span machines"),
    **_same("device_ids", "Ray hands out the GPUs", "set 'ray_actor_options.num_gpus'"),
    # vLLM's server
    **_same("host port uds", _OWN_SERVER, "set 'general_settings.host' and 'general_settings.port'"),
    **_same("api_key", _OWN_SERVER, "make keys with 'manta keys create'"),
    **_same("root_path middleware", _OWN_SERVER, "put a proxy in front and set 'general_settings.public_url'"),
    **_same("ssl_keyfile ssl_certfile ssl_ca_certs ssl_cert_reqs ssl_ciphers enable_ssl_refresh", _OWN_SERVER,
            "set 'general_settings.tls_cert' and 'general_settings.tls_key'"),
    **_same("allowed_origins", _OWN_SERVER, "set 'general_settings.allowed_origins'"),
    **_same("allow_credentials allowed_methods allowed_headers", _OWN_SERVER, "leave it out"),
    **_same("uvicorn_log_level disable_uvicorn_access_log disable_access_log_for_endpoints log_config_file "
            "log_error_stack", _OWN_SERVER, "set 'general_settings.log_level'"),
    **_same("enable_request_id_headers", "every answer carries x-request-id already", "leave it out"),
    **_same("h11_max_incomplete_event_size h11_max_header_count", _OWN_SERVER, "set 'ingress.max_body_bytes'"),
    **_same("disable_fastapi_docs enable_offline_docs enable_tokenizer_info_endpoint tokens_only "
            "enable_server_load_tracking enable_flash_late_interaction cohere_is_reasoning_model cohere_format",
            _OWN_SERVER, "leave it out"),
    **_same("enable_force_include_usage", "a client decides that", "ask with stream_options.include_usage"),
    # said elsewhere
    **_same("model model_weights", "the source stands in 'params.model'", "write 'params: {model: vllm/…}'"),
    **_same("served_model_name", "the name stands in 'model_name'", "set 'model_name'"),
    **_same("lora_modules", "adapters have a list of their own", "set 'adapters'"),
    **_same("hf_token", "a secret does not belong in this file", "set HF_TOKEN or HF_TOKEN_FILE in the environment"),
    **_same("enable_log_requests enable_log_outputs enable_log_deltas max_log_len", _LOGS_TEXT, "leave it out"),
    **_same("disable_log_stats", "scaling, health and /metrics need the engine's numbers", "leave it out"),
    **_same("skip_tokenizer_init", "chat needs the tokenizer", "leave it out"),
    **_same("pt_load_map_location", "weights come as safetensors only", "leave it out"),
}  # fmt: skip

REFUSED_VALUES: Mapping[str, Mapping[str, str]] = {
    "load_format": dict.fromkeys(("pt", "npcache"), "it unpickles files; convert the weights to safetensors"),
}

ONLY_VALUES: Mapping[str, tuple[str, ...]] = {
    "distributed_executor_backend": ("mp", "ray", "uni"),  # vLLM also takes the path of a class to import
}
