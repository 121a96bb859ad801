"""Amazon Bedrock as a client's `provider`."""

from __future__ import annotations

from ..client.clouds.bedrock import AwsCredentialsProvider, BedrockEndpoint, BedrockTokenProvider, bedrock

__all__ = ("AwsCredentialsProvider", "BedrockEndpoint", "BedrockTokenProvider", "bedrock")
