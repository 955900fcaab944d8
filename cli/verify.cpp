// stele verify: every invariant, checked.
#include "stele/verify.h"

#include <nlohmann/json.hpp>

#include "arguments.h"
#include "command_line.h"
#include "exit_codes.h"
#include "output.h"
#include "progress.h"
#include "stele/seal.h"

namespace stele::cli {
namespace {

struct VerifyArguments {
  std::size_t max_violations = VerifyOptions().max_violations;
  bool chain = false;
  std::optional<std::string> checkpoint, public_key;
};

void print_json(const VerifyReport& report) {
  nlohmann::ordered_json object;
  object["ok"] = report.ok();
  object["events"] = report.events;
  object["streams"] = report.streams;
  object["commands"] = report.commands;
  object["checks"] = report.checks;
  object["violations"] = nlohmann::ordered_json::array();
  for (const Violation& violation : report.violations) {
    object["violations"].push_back(
        {{"guarantee", violation.guarantee}, {"where", violation.where}, {"what", violation.what}});
  }
  out().write_line(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print(const VerifyReport& report) {
  for (const std::string& check : report.checks) out().write_line("checked  " + printable(check));
  for (const Violation& violation : report.violations) {
    out().write_line("BROKEN   " + violation.guarantee + ": " + printable(violation.where) + ": " +
                     printable(violation.what));
  }
  std::string counts = counted(report.events, "event") + ", " + counted(report.streams, "stream") + ", " +
                       counted(report.commands, "command") + ": ";
  if (report.ok()) {
    counts += "all invariants hold";
  } else {
    counts += counted(static_cast<long long>(report.violations.size()), "violation");
  }
  out().write_line(counts);
}

// --- The hash chain

std::string where(const ChainFault& fault) {
  std::string text;
  if (fault.stream) {
    text = fault.stream->to_string();
    if (fault.version > Version(0)) text += " version " + std::to_string(fault.version.value());
  }
  if (fault.position > Position(0))
    text += (text.empty() ? "" : ", ") + ("position " + std::to_string(fault.position.value()));
  return text.empty() ? "the log" : text;
}

nlohmann::ordered_json json_of(const ChainFault& fault) {
  nlohmann::ordered_json object{{"kind", to_string(fault.kind)}, {"what", fault.what}};
  if (fault.stream) {
    if (fault.stream->tenant != default_tenant) object["tenant_id"] = fault.stream->tenant;
    object["stream_type"] = fault.stream->type;
    object["stream_id"] = fault.stream->id;
  }
  if (fault.version > Version(0)) object["stream_version"] = fault.version.value();
  if (fault.position > Position(0)) object["global_position"] = fault.position.value();
  if (fault.event_id) object["event_id"] = fault.event_id->to_string();
  return object;
}

std::string without_line_end(std::string text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

Checkpoint read_checkpoint(const VerifyArguments& arguments) {
  const std::string line = without_line_end(read_file("--checkpoint", *arguments.checkpoint));
  if (arguments.public_key) {
    const std::string signature = without_line_end(read_file("--public-key", *arguments.checkpoint + ".sig"));
    check_signature(line, signature, read_file("--public-key", *arguments.public_key));
  }
  try {
    return parse_checkpoint(line);
  } catch (const Error& error) {
    throw Error(error.code(), *arguments.checkpoint + ": " + error.message());
  }
}

int verify_hashes(const Context& context, const VerifyArguments& arguments) {
  ChainOptions options;
  if (arguments.checkpoint) options.checkpoint = read_checkpoint(arguments);
  options.max_faults = arguments.max_violations;
  EventStore store = context.open_store_as_stored();
  Progress progress("verify", "positions", context.quiet);
  options.on_progress = [&](std::int64_t done, std::int64_t total) { progress.update(done, done, total); };
  const ChainReport report = verify_chain(store, options);
  progress.finish();
  if (context.json) {
    nlohmann::ordered_json object{{"ok", report.ok()},
                                  {"seals", report.seals},
                                  {"events", report.events},
                                  {"events_unsealed", report.events_unsealed},
                                  {"faults", nlohmann::ordered_json::array()}};
    for (const ChainFault& fault : report.faults) object["faults"].push_back(json_of(fault));
    out().write_line(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    for (const ChainFault& fault : report.faults) {
      out().write_line("BROKEN   " + std::string(to_string(fault.kind)) + ": " + printable(where(fault)) + ": " +
                       printable(fault.what));
    }
    out().write_line(
        counted(report.events, "event") + " in " + counted(report.seals, "seal") + ": " +
        (report.ok() ? "as they were sealed" : counted(static_cast<long long>(report.faults.size()), "fault")) +
        (report.events_unsealed > 0
             ? "; " + counted(report.events_unsealed, "event") + " behind the last seal not checked"
             : ""));
  }
  return report.ok() ? exit_ok : exit_integrity;
}

int verify(const Context& context, const VerifyArguments& arguments) {
  if (arguments.chain) return verify_hashes(context, arguments);
  EventStore store = context.open_store();
  Progress progress("verify", "events", context.quiet);
  VerifyOptions options;
  options.max_violations = arguments.max_violations;
  options.on_progress = [&](std::int64_t done, std::int64_t total) { progress.update(done, done, total); };
  const VerifyReport report = store.verify(options);
  progress.finish();
  if (context.json) {
    print_json(report);
  } else {
    print(report);
  }
  return report.ok() ? exit_ok : exit_integrity;
}

}  // namespace

void add_verify(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("verify", "Check every invariant of the store; exit code 8 if one is broken");
  auto arguments = std::make_shared<VerifyArguments>();
  command->add_option("--max-violations", arguments->max_violations, "Stop after so many; 100 unless given")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000'000}));
  CLI::Option* chain = command->add_flag("--chain", arguments->chain, "Check the hashes that `seal` has made instead");
  CLI::Option* checkpoint = add_value(*command, "--checkpoint", arguments->checkpoint,
                                      "And that the log is the one of this checkpoint", "FILE");
  checkpoint->needs(chain);
  add_value(*command, "--public-key", arguments->public_key,
            "The checkpoint's signature, in FILE.sig, has to be of this key (PEM)", "KEYFILE")
      ->needs(checkpoint);
  command->callback(
      [&context, arguments] { context.action = [&context, arguments] { return verify(context, *arguments); }; });
}

}  // namespace stele::cli
