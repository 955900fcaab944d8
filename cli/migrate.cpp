// stele migrate up|down|status: the schema of the database.
#include "stele/migrate.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "arguments.h"
#include "command_line.h"
#include "connection.h"
#include "exit_codes.h"
#include "output.h"
#include "stele/backends.h"
#include "stele/driver/driver.h"
#include "stele/error.h"

namespace stele::cli {
namespace {

struct MigrateArguments {
  std::optional<std::string> to, steps;
  bool dry_run = false;
  bool yes = false;
};

/// A database that is open, whatever its schema.
class Schema {
 public:
  Schema(const Context& context, bool create)
      : driver_(default_registry().open(whole_store(Url::parse(connection_url(context.url_flag))),
                                        {.create = create, .tenant = {}})) {
    if (driver_->migrations() == nullptr) {
      throw Error(ErrorCode::unsupported, "a " + std::string(driver_->name()) + " store has no schema to migrate");
    }
  }
  Migrator migrator() { return Migrator(*driver_->migrations()); }

 private:
  static Url whole_store(Url url) {
    if (url.param("tenant")) {
      throw Error(ErrorCode::invalid_argument, "tenant: migrations are of the whole store; leave it out of the URL");
    }
    return url;
  }

  std::unique_ptr<driver::Driver> driver_;
};

MigrateOptions options_of(const Context& context, const MigrateArguments& arguments) {
  constexpr int largest = std::numeric_limits<int>::max();
  MigrateOptions options;
  if (arguments.to) options.to = static_cast<int>(parse_integer("--to", *arguments.to, 0, largest));
  if (arguments.steps) options.steps = static_cast<int>(parse_integer("--steps", *arguments.steps, 1, largest));
  options.dry_run = arguments.dry_run;
  options.on_step = [&context, dry_run = arguments.dry_run](const MigrationStepInfo& step) {
    if (context.json) {
      nlohmann::ordered_json object{{"number", step.number},
                                    {"title", step.title},
                                    {"direction", step.up ? "up" : "down"},
                                    {"loses_data", step.loses_data},
                                    {"dry_run", dry_run}};
      if (!dry_run) object["milliseconds"] = step.duration.count();
      out().write_line(object.dump());
    } else {
      std::string line = dry_run ? (step.up ? "would apply " : "would undo ") : (step.up ? "applied " : "undid ");
      line += std::to_string(step.number) + " " + step.title;
      if (step.loses_data) line += " (drops data)";
      out().write_line(line);
    }
    out().flush();
  };
  return options;
}

void say_where_it_is(const Context& context, const Migrator& migrator, bool anything_done) {
  if (context.json || context.quiet) return;
  const MigrationStatus status = migrator.status();
  message(std::string(anything_done ? "at" : "nothing to do: at") + " migration " + std::to_string(status.current) +
          " of " + std::to_string(status.latest));
}

int up(const Context& context, const MigrateArguments& arguments) {
  Schema schema(context, !arguments.dry_run);
  Migrator migrator = schema.migrator();
  const auto steps = migrator.up(options_of(context, arguments));
  if (!arguments.dry_run) say_where_it_is(context, migrator, !steps.empty());
  return exit_ok;
}

/// Whether the person at the terminal agrees to lose data.
bool confirmed(const std::vector<MigrationStepInfo>& steps) {
  std::string question = "This drops data for good:";
  for (const MigrationStepInfo& step : steps) {
    if (step.loses_data) question += " undo " + std::to_string(step.number) + " " + step.title + ";";
  }
  question.back() = '.';
  message(question);
  message("Type yes to go on:");
  std::string answer;
  return std::getline(std::cin, answer) && answer == "yes";
}

int down(const Context& context, const MigrateArguments& arguments) {
  Schema schema(context, false);
  Migrator migrator = schema.migrator();
  MigrateOptions options = options_of(context, arguments);
  if (!arguments.dry_run) {
    MigrateOptions rehearsal = options;
    rehearsal.dry_run = true;
    rehearsal.on_step = nullptr;
    const auto steps = migrator.down(rehearsal);
    const bool loses_data =
        std::any_of(steps.begin(), steps.end(), [](const MigrationStepInfo& step) { return step.loses_data; });
    if (loses_data && !arguments.yes) {
      if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDERR_FILENO) == 0) {
        throw UsageError("migrate down would drop data, and there is no terminal to ask on: give --yes to agree");
      }
      if (!confirmed(steps)) throw CommandFailure(exit_failed, "nothing was undone");
    }
    // Down to where the rehearsal ended and no further, whatever another process does in the meantime.
    options.allow_data_loss = loses_data;
    if (!steps.empty()) {
      options.to = steps.back().number - 1;
      options.steps.reset();
    }
  }
  const auto steps = migrator.down(options);
  if (!arguments.dry_run) say_where_it_is(context, migrator, !steps.empty());
  return exit_ok;
}

int status(const Context& context) {
  Schema schema(context, false);
  const MigrationStatus status = schema.migrator().status();
  Table table({{"NUMBER", Table::Align::right}, {"TITLE"}, {"STATE"}, {"APPLIED"}});
  bool as_it_should_be = status.up_to_date();
  for (const MigrationInfo& migration : status.migrations) {
    as_it_should_be = as_it_should_be && migration.state == MigrationState::applied;
    if (context.json) {
      nlohmann::ordered_json object{
          {"number", migration.number}, {"title", migration.title}, {"state", to_string(migration.state)}};
      if (migration.applied_at) object["applied_at"] = migration.applied_at->to_string();
      object["down_loses_data"] = migration.down_loses_data;
      out().write_line(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    } else {
      table.add({std::to_string(migration.number), printable(migration.title), std::string(to_string(migration.state)),
                 migration.applied_at ? migration.applied_at->to_string() : "-"});
    }
  }
  table.end();
  return as_it_should_be ? exit_ok : exit_schema;
}

}  // namespace

void add_migrate(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("migrate", "Bring the schema up to date, back, or show where it is");
  command->require_subcommand(1);
  auto arguments = std::make_shared<MigrateArguments>();

  CLI::App* up_command = command->add_subcommand("up", "Apply what is pending; creates an SQLite file");
  CLI::App* down_command = command->add_subcommand("down", "Undo the last migration, or several");
  CLI::App* status_command =
      command->add_subcommand("status", "Show every migration; exit code 5 unless all are applied");
  for (CLI::App* each : {up_command, down_command}) {
    CLI::Option* to = add_value(*each, "--to", arguments->to, "Until this number is current", "NUMBER");
    add_value(*each, "--steps", arguments->steps, "At most so many", "N")->excludes(to);
    each->add_flag("--dry-run", arguments->dry_run, "Only say what would be done");
  }
  down_command->add_flag("--yes", arguments->yes, "Agree to lose data without being asked");

  up_command->callback(
      [&context, arguments] { context.action = [&context, arguments] { return up(context, *arguments); }; });
  down_command->callback(
      [&context, arguments] { context.action = [&context, arguments] { return down(context, *arguments); }; });
  status_command->callback([&context] { context.action = [&context] { return status(context); }; });
}

}  // namespace stele::cli
