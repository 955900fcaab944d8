// stele append TYPE/ID: one event.
#include <nlohmann/json.hpp>

#include "arguments.h"
#include "command_line.h"
#include "exit_codes.h"
#include "output.h"
#include "stele/event_json.h"

namespace stele::cli {
namespace {

struct AppendArguments {
  std::string stream, tenant, type, data;
  std::optional<std::string> expect, event_id, event_version, occurred_at, valid_from, valid_to, actor, source, channel,
      idempotency_key, causation, correlation, redaction, metadata, policy_context, model_context, display;
  std::optional<std::string> request, command_type, command_id, command_data;
  std::optional<std::string> subject;
  std::vector<std::string> attributes, checks, encrypt;
  bool contains_secrets = false;
};

/// A pointer that names nothing is misspelt, and what it was to name would stay readable.
void check_place(const Json& data, const std::string& place) {
  if (place.find("/*") != std::string::npos) return;  // It may name nothing.
  bool there = true;
  try {
    there = data.value().contains(nlohmann::json::json_pointer(place));
  } catch (const nlohmann::json::exception&) {  // Core says what is wrong with it.
  }
  if (!there) throw UsageError("--encrypt: \"" + place + "\" is not in --data");
}

NewEvent event_of(const AppendArguments& a) {
  NewEvent event;
  event.type = a.type;
  event.data = parse_json("--data", a.data);
  if (a.event_version) {
    event.event_version = static_cast<std::int32_t>(
        parse_integer("--event-version", *a.event_version, 1, std::numeric_limits<std::int32_t>::max()));
  }
  if (a.event_id) event.event_id = parse_uuid("--event-id", *a.event_id);
  if (a.occurred_at) event.occurred_at = parse_time("--occurred-at", *a.occurred_at);
  if (a.valid_from) event.valid_from = parse_time("--valid-from", *a.valid_from);
  if (a.valid_to) event.valid_to = parse_time("--valid-to", *a.valid_to);
  if (a.actor) event.actor = parse_actor("--actor", *a.actor);
  event.source = a.source;
  if (a.channel) event.channel = parse_channel_option("--channel", *a.channel);
  event.idempotency_key = a.idempotency_key;
  if (a.causation) event.causation_id = parse_uuid("--causation", *a.causation);
  if (a.correlation) event.correlation_id = parse_uuid("--correlation", *a.correlation);
  if (a.redaction) event.redaction_level = parse_redaction_option("--redaction", *a.redaction);
  event.contains_secrets = a.contains_secrets;
  if (a.metadata) event.metadata = parse_json("--metadata", *a.metadata);
  if (a.policy_context) event.policy_context = parse_json("--policy-context", *a.policy_context);
  if (a.model_context) event.model_context = parse_json("--model-context", *a.model_context);
  if (a.display) event.display = parse_json("--display", *a.display);
  if (a.subject) {
    for (const std::string& place : a.encrypt) check_place(event.data, place);
    event.personal = PersonalData{*a.subject, a.encrypt};
  }
  for (const std::string& attribute : a.attributes) {
    auto [name, value] = parse_pair("--attribute", attribute, '=');
    if (!event.attributes.emplace(name, std::move(value)).second) {
      throw UsageError("--attribute: \"" + name + "\" is given twice");
    }
  }
  return event;
}

std::optional<Command> command_of(const AppendArguments& a, const std::optional<Actor>& actor) {
  if (!a.request) return std::nullopt;
  auto [source, request_id] = parse_pair("--request", *a.request, ':');
  Command command;
  command.key = {a.tenant, std::move(source), std::move(request_id)};
  command.type = a.command_type.value_or("append");
  if (a.command_id) command.command_id = parse_uuid("--command-id", *a.command_id);
  if (a.command_data) {
    command.data = parse_json("--command-data", *a.command_data);
    if (a.subject) command.personal = PersonalData{*a.subject, {}};
  }
  if (a.channel) command.channel = parse_channel_option("--channel", *a.channel);
  command.actor = actor;
  return command;
}

StreamCondition condition_of(const std::string& text, const std::string& tenant) {
  // An id may hold an equals sign, an expectation does not.
  const std::size_t at = text.rfind('=');
  if (at == std::string::npos) throw UsageError("--check: \"" + text + "\" is not of the form TYPE/ID=EXPECT");
  return {parse_stream("--check", text.substr(0, at), tenant), parse_expected("--check", text.substr(at + 1))};
}

AppendRequest request_of(const AppendArguments& a) {
  int from_standard_input = 0;
  for (const std::optional<std::string>& text :
       {std::optional(a.data), a.metadata, a.policy_context, a.model_context, a.display, a.command_data}) {
    if (text == "-") ++from_standard_input;
  }
  if (from_standard_input > 1) throw UsageError("standard input (-) can be only one of the documents");

  AppendRequest request;
  StreamAppend& stream = request.streams.emplace_back();
  stream.stream = parse_stream("STREAM", a.stream, a.tenant);
  if (a.expect) stream.expected = parse_expected("--expect", *a.expect);
  stream.events.push_back(event_of(a));
  for (const std::string& check : a.checks) request.conditions.push_back(condition_of(check, a.tenant));
  request.command = command_of(a, stream.events.front().actor);
  return request;
}

int append(const Context& context, const AppendArguments& arguments) {
  const AppendRequest request = request_of(arguments);
  EventStore::validate(request);
  EventStore store = context.open_store();
  const AppendResult result = store.append(request);
  if (context.json) out().write_line(to_json_line(result));
  result.or_throw();
  for (const std::string& warning : result.warnings) message("warning: " + printable(warning));
  if (context.json) return exit_ok;
  const StreamOutcome& outcome = result.streams.front();
  out().write_line(std::string(to_string(result.status)) + " " + printable(outcome.stream.to_string()) + " version " +
                   std::to_string(outcome.last_version.value()) + " position " +
                   std::to_string(outcome.last_position.value()));
  return exit_ok;
}

}  // namespace

void add_append(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("append", "Append one event to a stream");
  auto arguments = std::make_shared<AppendArguments>();
  AppendArguments& a = *arguments;
  command->add_option("STREAM", a.stream, "STREAM_TYPE/STREAM_ID")->required();
  command->add_option("--type", a.type, "What happened, for example OrderPlaced")->required()->type_name("TYPE");
  command->add_option("--data", a.data, "The payload: JSON, @file, or - for standard input")
      ->required()
      ->type_name("JSON");
  add_value(*command, "--expect", a.expect, "The version the stream has to be at: any, none, exists or a number",
            "EXPECT");
  add_values(*command, "--check", a.checks, "Another stream that has to be as expected; may be repeated",
             "TYPE/ID=EXPECT");

  CLI::Option* request =
      add_value(*command, "--request", a.request, "The request behind it: a repetition appends nothing", "SOURCE:ID");
  add_value(*command, "--command-type", a.command_type, "The request's type; \"append\" unless given", "TYPE")
      ->needs(request);
  add_value(*command, "--command-id", a.command_id, "The request's id as a command", "UUID")->needs(request);
  add_value(*command, "--command-data", a.command_data, "The request's own payload", "JSON")->needs(request);

  add_value(*command, "--actor", a.actor, "Who did it: user, service, agent or system, and an id", "TYPE:ID");
  add_value(*command, "--source", a.source, "The producing system", "SOURCE");
  add_value(*command, "--channel", a.channel, "ui, api, import, webhook or system", "CHANNEL");
  add_value(*command, "--event-id", a.event_id, "Makes a repetition safe", "UUID");
  add_value(*command, "--event-version", a.event_version, "The payload's schema version; 1 unless given", "N");
  add_value(*command, "--idempotency-key", a.idempotency_key, "Unique within the stream", "KEY");
  add_value(*command, "--occurred-at", a.occurred_at, "When it happened; now unless given", "TIME");
  add_value(*command, "--valid-from", a.valid_from, "Beginning of its business validity", "TIME");
  add_value(*command, "--valid-to", a.valid_to, "End of its business validity, excluded", "TIME");
  add_value(*command, "--correlation", a.correlation, "Groups what belongs together", "UUID");
  add_value(*command, "--causation", a.causation, "The command that led to it; the request's unless given", "UUID");
  add_values(*command, "--attribute", a.attributes, "For look-up; may be repeated", "NAME=VALUE");
  add_value(*command, "--metadata", a.metadata, "A JSON object, @file or -", "JSON");
  add_value(*command, "--policy-context", a.policy_context, "A JSON object, @file or -", "JSON");
  add_value(*command, "--model-context", a.model_context, "A JSON object, @file or -", "JSON");
  add_value(*command, "--display", a.display, "A JSON object, @file or -", "JSON");
  add_value(*command, "--redaction", a.redaction, "none, partial or full", "LEVEL");
  CLI::Option* subject = add_value(*command, "--subject", a.subject,
                                   "Whose data it is: the payload is encrypted under this subject's key", "SUBJECT");
  add_values(*command, "--encrypt", a.encrypt, "Only this place in it, as JSON Pointer; may be repeated", "POINTER")
      ->needs(subject);
  command->add_flag("--contains-secrets", a.contains_secrets, "The payload holds secrets");
  add_tenant(*command, context, a.tenant);
  command->callback(
      [&context, arguments] { context.action = [&context, arguments] { return append(context, *arguments); }; });
}

}  // namespace stele::cli
