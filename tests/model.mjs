// Answers as the APIs of Anthropic, OpenAI and Google do, so that the real programs can be talked to without an account.
// To what has "run it" in it the answer is a call of the program's own tool for shell commands, to all else a sentence.
// usage: node model.mjs PORT
import http from 'node:http';

const SENTENCE = 'Said by the model.';
const LINE = 'touch made-by-the-model';
const WHY = 'Makes a file';

function send(response, ...events) {
  for (const one of events) response.write(`event: ${one.type}\ndata: ${JSON.stringify(one)}\n\n`);
}

// Claude Code and OpenCode.
function messages(body, response) {
  const last = JSON.stringify(body.messages.findLast((one) => one.role === 'user').content);
  const tool = (body.tools ?? []).find((one) => /^bash$/i.test(one.name));
  const call = tool && last.includes('run it') && !last.includes('"tool_result"');
  const block = call ? { type: 'tool_use', id: 'toolu_1', name: tool.name, input: {} } : { type: 'text', text: '' };
  const delta = call
    ? { type: 'input_json_delta', partial_json: JSON.stringify({ command: LINE, description: WHY }) }
    : { type: 'text_delta', text: SENTENCE };
  const usage = { input_tokens: 1, output_tokens: 1 };
  const message = { id: 'msg_1', type: 'message', role: 'assistant', model: body.model, content: [], usage };
  send(
    response,
    { type: 'message_start', message },
    { type: 'content_block_start', index: 0, content_block: block },
    { type: 'content_block_delta', index: 0, delta },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: call ? 'tool_use' : 'end_turn' }, usage },
    { type: 'message_stop' },
  );
}

// Codex.
function responses(body, response) {
  const last = body.input.findLast((one) => one.role === 'user' || one.type.endsWith('_output'));
  const wanted = JSON.stringify({ cmd: LINE, sandbox_permissions: 'require_escalated', justification: WHY });
  const said = { type: 'output_text', text: SENTENCE, annotations: [] };
  let item = { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [said] };
  if (last.role === 'user' && JSON.stringify(last).includes('run it')) {
    const call = { id: 'call_1', call_id: 'call_1', status: 'completed' };
    // Newer models call tools from JavaScript.
    item = JSON.stringify([body.tools ?? [], body.input]).includes('"name":"exec"')
      ? { ...call, type: 'custom_tool_call', name: 'exec', input: `text(await tools.exec_command(${wanted}))` }
      : { ...call, type: 'function_call', name: 'exec_command', arguments: wanted };
  }
  const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
  send(
    response,
    { type: 'response.created', response: { id: 'resp_1', status: 'in_progress' } },
    { type: 'response.output_item.done', output_index: 0, item },
    { type: 'response.completed', response: { id: 'resp_1', status: 'completed', output: [item], usage } },
  );
}

// Gemini CLI, which first asks another model how hard the question is.
function contents(body, response, streamed) {
  const last = JSON.stringify(body.contents.at(-1));
  let part = { text: SENTENCE };
  if (body.generationConfig?.responseJsonSchema) {
    part = { text: '{"complexity_reasoning": "easy", "complexity_score": 1}' };
  } else if (last.includes('run it') && !last.includes('functionResponse')) {
    part = { functionCall: { name: 'run_shell_command', args: { command: LINE, description: WHY } } };
  }
  const usage = { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 };
  const content = { role: 'model', parts: [part] };
  const value = JSON.stringify({ candidates: [{ index: 0, content, finishReason: 'STOP' }], usageMetadata: usage });
  response.write(streamed ? `data: ${value}\n\n` : value);
}

http
  .createServer(async (request, response) => {
    let text = '';
    for await (const piece of request) text += piece;
    const path = request.url.split('?')[0];
    const streamed = !path.endsWith(':generateContent');
    const known = /\/(messages|responses)$|enerateContent$/.test(path);
    if (request.method !== 'POST' || !known) {
      response.writeHead(404).end('{}');
      return;
    }
    response.writeHead(200, { 'content-type': streamed ? 'text/event-stream' : 'application/json' });
    const body = JSON.parse(text);
    if (path.endsWith('/messages')) messages(body, response);
    else if (path.endsWith('/responses')) responses(body, response);
    else contents(body, response, streamed);
    response.end();
  })
  .listen(Number(process.argv[2]), '127.0.0.1');
