#!/usr/bin/env bash
# Start a fake OpenAI for the steps of a workflow that follow, and have their environment point at it (see action.yml).
set -euo pipefail

healthy() {
  python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$PORT/_antiphon/health', timeout=1)" 2>/dev/null
}

if healthy; then
  echo "::error::port $PORT is taken by another fake"
  exit 1
fi

log="${RUNNER_TEMP:-/tmp}/antiphon-$PORT.log"
# The options are words of a command line, as they are written in the workflow.
# shellcheck disable=SC2086
nohup antiphon serve --port "$PORT" $OPTIONS >"$log" 2>&1 &
server=$!

for _ in $(seq 300); do
  if healthy; then
    {
      echo "OPENAI_BASE_URL=http://127.0.0.1:$PORT/v1"
      echo "OPENAI_API_KEY=sk-fake"
    } >>"$GITHUB_ENV"
    {
      echo "url=http://127.0.0.1:$PORT"
      echo "log=$log"
      echo "pid=$server"
    } >>"$GITHUB_OUTPUT"
    exit 0
  fi
  if ! kill -0 "$server" 2>/dev/null; then
    break
  fi
  sleep 0.1
done

echo "::error::antiphon serve does not answer on port $PORT"
cat "$log" >&2
kill "$server" 2>/dev/null || true
exit 1
