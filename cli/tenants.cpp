// stele tenants isolate|share: the database's own line between tenants.
#include "command_line.h"
#include "exit_codes.h"
#include "output.h"
#include "stele/driver/driver.h"

namespace stele::cli {
namespace {

int isolate(const Context& context, bool on) {
  EventStore store = context.open_store();
  store.driver().isolate_tenants(on);
  if (context.json) {
    out().write_line(on ? R"({"isolated":true})" : R"({"isolated":false})");
  } else {
    message(on ? "Row-level security is on: a session sees only the tenant it was opened for."
               : "Row-level security is off.");
  }
  return exit_ok;
}

}  // namespace

void add_tenants(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("tenants", "Let the database keep tenants apart, or not");
  command->require_subcommand(1);
  const auto add = [&](const char* name, const char* what, bool on) {
    command->add_subcommand(name, what)->callback([&context, on] {
      context.action = [&context, on] { return isolate(context, on); };
    });
  };
  add("isolate", "Switch row-level security on; to be repeated after a migration", true);
  add("share", "Switch it off", false);
}

}  // namespace stele::cli
