"""Reads what agents write down of their conversations. What is not understood is left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """One thing that was said or done. `role` is user, assistant, tool (a call), result (what it gave) or screen; `at`
    when, as the program wrote it."""

    role: str
    text: str
    at: str = ""


def read(form: str, data: bytes) -> list[Entry]:
    """The entries of a transcript of the form that the type of the agent names; of none it is what a screen showed."""
    if form == "claude":
        return [entry for line in _lines(data) for entry in _claude(line)]
    if form == "codex":
        return [entry for line in _lines(data) for entry in _codex(line)]
    if form == "gemini":
        # A message is written anew when more of it is there.
        newest = {line["id"]: line for line in _lines(data) if isinstance(line.get("id"), str)}
        return [entry for line in newest.values() for entry in _gemini(line)]
    text = data.decode(errors="replace").rstrip()
    return [Entry("screen", text)] if text else []


def _lines(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            # The last line may be one that is just being written.
            continue
        if isinstance(value, dict):
            yield value


def _claude(line: dict[str, Any]) -> Iterator[Entry]:
    message = line.get("message")
    if line.get("type") not in ("user", "assistant") or line.get("isMeta") or not isinstance(message, dict):
        return
    at = str(line.get("timestamp", ""))
    content = message.get("content", "")
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        kind = part.get("type")
        if kind == "text" and part.get("text"):
            yield Entry(str(line["type"]), part["text"], at)
        elif kind == "tool_use":
            yield Entry("tool", f"{part.get('name', '')} {json.dumps(part.get('input', {}), ensure_ascii=False)}", at)
        elif kind == "tool_result":
            yield Entry("result", _text(part.get("content", "")), at)


def _codex(line: dict[str, Any]) -> Iterator[Entry]:
    payload = line.get("payload")
    if line.get("type") != "response_item" or not isinstance(payload, dict):
        return
    at = str(line.get("timestamp", ""))
    kind = payload.get("type")
    if kind == "message" and payload.get("role") in ("user", "assistant"):
        text = _text(payload.get("content", ""))
        # What the program itself tells the model stands in tags.
        if text and not (payload["role"] == "user" and text.startswith("<")):
            yield Entry(payload["role"], text, at)
    elif kind in ("function_call", "custom_tool_call"):
        yield Entry("tool", f"{payload.get('name', '')} {payload.get('arguments', payload.get('input', ''))}", at)
    elif kind in ("function_call_output", "custom_tool_call_output"):
        yield Entry("result", _text(payload.get("output", "")), at)


def _gemini(line: dict[str, Any]) -> Iterator[Entry]:
    at, text = str(line.get("timestamp", "")), _text(line.get("content", ""))
    if line.get("type") == "user" and text and not text.startswith("<"):
        yield Entry("user", text, at)
    elif line.get("type") == "gemini":
        if text:
            yield Entry("assistant", text, at)
        for call in line.get("toolCalls", []):
            yield Entry("tool", f"{call.get('name', '')} {json.dumps(call.get('args', {}), ensure_ascii=False)}", at)
            for result in call.get("result") or ():
                given = result.get("functionResponse", {}).get("response", {}) if isinstance(result, dict) else {}
                yield Entry("result", str(given.get("output", given.get("error", ""))), at)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(str(part["text"]) for part in content if isinstance(part, dict) and part.get("text"))
    return json.dumps(content, ensure_ascii=False)
