// stele roles: who may do what in the database.
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "exit_codes.h"
#include "output.h"
#include "stele/driver/driver.h"

namespace stele::cli {
namespace {

int roles(const Context& context, const driver::RoleNames& names) {
  EventStore store = context.open_store();
  store.driver().grant_roles(names);
  if (context.json) {
    nlohmann::ordered_json object;
    object["reader"] = names.reader;
    object["writer"] = names.writer;
    object["admin"] = names.admin;
    out().write_line(object.dump());
    return exit_ok;
  }
  Table table({{"ROLE"}, {"MAY"}});
  table.add({printable(names.reader), "read"});
  if (store.driver().name() == "postgres") {
    for (const std::string& name : {names.writer, names.admin}) {
      table.add({printable(name), "read, append, keep and remove snapshots, run projections"});
    }
  } else {
    table.add({printable(names.writer), "read and append"});
    table.add({printable(names.admin), "read, append, and remove snapshots and offsets of projections"});
  }
  table.end();
  return exit_ok;
}

}  // namespace

void add_roles(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("roles", "Give roles of the database their rights on the store");
  command->footer("Roles that are missing are made, without a login. To be repeated after a migration.");
  auto names = std::make_shared<driver::RoleNames>(driver::RoleNames{"stele_reader", "stele_writer", "stele_admin"});
  const auto add = [&](const char* option, std::string& name, const std::string& may) {
    command->add_option(option, name, may + "; \"" + name + "\" unless given")->type_name("NAME");
  };
  add("--reader", names->reader, "May read");
  add("--writer", names->writer, "May append, too; on PostgreSQL keep snapshots and run projections as well");
  add("--admin", names->admin, "On SQL Server may remove snapshots, too; elsewhere the same");
  command->callback([&context, names] { context.action = [&context, names] { return roles(context, *names); }; });
}

}  // namespace stele::cli
