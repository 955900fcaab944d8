// stele verify: every invariant, checked.
#include "stele/verify.h"

#include <nlohmann/json.hpp>

#include "command_line.h"
#include "exit_codes.h"
#include "output.h"
#include "progress.h"

namespace stele::cli {
namespace {

struct VerifyArguments {
  std::size_t max_violations = VerifyOptions().max_violations;
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

int verify(const Context& context, const VerifyArguments& arguments) {
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
      ->check(CLI::PositiveNumber);
  command->callback(
      [&context, arguments] { context.action = [&context, arguments] { return verify(context, *arguments); }; });
}

}  // namespace stele::cli
