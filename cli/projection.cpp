// stele projection: how far projections, named subscriptions and relays are, and running those that are written in SQL.
#include "stele/projection.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "arguments.h"
#include "command_line.h"
#include "exit_codes.h"
#include "long_running.h"
#include "output.h"
#include "sql_projection.h"
#include "stele/driver/driver.h"

namespace stele::cli {
namespace {

struct ProjectionArguments {
  std::string target;               // A file, or a name.
  std::optional<std::string> name;  // status
  std::string tenant;               // With a name; empty: all tenants'.
  std::optional<std::string> batch, lease, on_error, limit;
  bool once = false;
};

void write_line(const nlohmann::ordered_json& object) {
  out().write_line(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::string or_dash(const std::string& text) {
  return text.empty() ? "-" : printable(text);
}

// --- What there is

/// Who runs the active generation right now; several in a group.
std::set<std::string> holders(const driver::ProjectionState& state) {
  std::set<std::string> found;
  for (const driver::PartState& part : state.checkpoints) {
    if (part.key.generation == state.active_generation && part.leased) found.insert(part.holder);
  }
  return found;
}

/// Unknown for one that was made before kinds were kept, and has not run since.
std::string kind_of(const driver::ProjectionState& state) {
  return state.kind ? std::string(to_string(*state.kind)) : "-";
}

int list(const Context& context) {
  EventStore store = context.open_store();
  Table table({{"NAME"},
               {"TENANT"},
               {"KIND"},
               {"GENERATION", Table::Align::right},
               {"PARTS", Table::Align::right},
               {"POSITION", Table::Align::right},
               {"LAG", Table::Align::right},
               {"DEAD LETTERS", Table::Align::right},
               {"HOLDER"}});
  for (const ProjectionStatus& status : projection_statuses(store)) {
    const driver::ProjectionState& state = status.state;
    const std::set<std::string> held_by = holders(state);
    const std::int64_t position = status.log_end.value() - status.lag;
    if (context.json) {
      nlohmann::ordered_json object;
      object["name"] = state.key.name;
      if (!state.key.tenant.empty()) object["tenant_id"] = state.key.tenant;
      if (state.kind) object["kind"] = to_string(*state.kind);
      object["generation"] = state.active_generation;
      object["parts"] = state.parts;
      object["position"] = position;
      object["lag"] = status.lag;
      object["dead_letters"] = state.dead_letters;
      object["holders"] = held_by;
      write_line(object);
    } else {
      const std::string holder = held_by.size() > 1 ? counted(static_cast<long long>(held_by.size()), "member")
                                 : held_by.empty()  ? ""
                                                    : *held_by.begin();
      table.add({printable(state.key.name), or_dash(state.key.tenant), kind_of(state),
                 std::to_string(state.active_generation), std::to_string(state.parts), std::to_string(position),
                 std::to_string(status.lag), std::to_string(state.dead_letters), or_dash(holder)});
    }
  }
  table.end();
  return exit_ok;
}

[[noreturn]] void throw_not_found(const std::string& name) {
  throw CommandFailure(exit_not_found, "there is no projection " + printable(name));
}

/// A row for each checkpoint.
int projection_status(const Context& context, const ProjectionArguments& arguments) {
  EventStore store = context.open_store();
  Table table({{"NAME"},
               {"TENANT"},
               {"KIND"},
               {"GENERATION", Table::Align::right},
               {"PART", Table::Align::right},
               {"POSITION", Table::Align::right},
               {"LAG", Table::Align::right},
               {"STATE"},
               {"UPDATED"},
               {"HOLDER"}});
  bool found = false;
  for (const ProjectionStatus& status : projection_statuses(store)) {
    const driver::ProjectionState& state = status.state;
    if (arguments.name && *arguments.name != state.key.name) continue;
    found = true;
    for (const driver::PartState& part : state.checkpoints) {
      const bool active = part.key.generation == state.active_generation;
      const std::int64_t lag = state.kind == driver::ProjectionKind::inline_projection
                                   ? 0
                                   : std::max<std::int64_t>(0, status.log_end.value() - part.position.value());
      if (context.json) {
        nlohmann::ordered_json object;
        object["name"] = state.key.name;
        if (!state.key.tenant.empty()) object["tenant_id"] = state.key.tenant;
        if (state.kind) object["kind"] = to_string(*state.kind);
        object["generation"] = part.key.generation;
        object["active"] = active;
        object["part"] = part.key.part;
        object["position"] = part.position.value();
        object["lag"] = lag;
        object["holder"] = part.leased ? nlohmann::ordered_json(part.holder) : nlohmann::ordered_json();
        if (part.leased_until) object["leased_until"] = part.leased_until->to_string();
        object["updated_at"] = part.updated_at.to_string();
        write_line(object);
      } else {
        const std::string condition = std::string(active ? "active" : "building") + (part.leased ? ", running" : "");
        table.add({printable(state.key.name), or_dash(state.key.tenant), kind_of(state),
                   std::to_string(part.key.generation), std::to_string(part.key.part),
                   std::to_string(part.position.value()), std::to_string(lag), condition, part.updated_at.to_string(),
                   part.leased ? printable(part.holder) : "-"});
      }
    }
  }
  if (arguments.name && !found) throw_not_found(*arguments.name);
  table.end();
  return exit_ok;
}

int dead_letters(const Context& context, const ProjectionArguments& arguments) {
  const std::size_t limit =
      arguments.limit ? static_cast<std::size_t>(parse_integer("--limit", *arguments.limit, 1, 10'000)) : 100;
  EventStore store = context.open_store();
  const driver::ProjectionKey key{arguments.target, arguments.tenant};
  if (!store.driver().find_projection(key)) throw_not_found(key.name);
  Table table({{"POSITION", Table::Align::right},
               {"EVENT"},
               {"GENERATION", Table::Align::right},
               {"PART", Table::Align::right},
               {"ATTEMPTS", Table::Align::right},
               {"RECORDED"},
               {"ERROR"}});
  for (const driver::DeadLetter& letter : store.driver().list_dead_letters(key, limit)) {
    if (context.json) {
      nlohmann::ordered_json object;
      object["global_position"] = letter.position.value();
      object["event_id"] = letter.event_id.to_string();
      object["generation"] = letter.key.generation;
      object["part"] = letter.key.part;
      object["attempts"] = letter.attempts;
      object["recorded_at"] = letter.recorded_at.to_string();
      object["error"] = letter.error;
      write_line(object);
    } else {
      table.add({std::to_string(letter.position.value()), letter.event_id.to_string(),
                 std::to_string(letter.key.generation), std::to_string(letter.key.part),
                 std::to_string(letter.attempts), letter.recorded_at.to_string(), printable(letter.error)});
    }
  }
  table.end();
  return exit_ok;
}

// --- What is done

ProjectionOptions options_of(const Context& context, const ProjectionArguments& arguments,
                             const SqlProjection& projection) {
  ProjectionOptions options;
  options.tenant = projection.tenant();
  options.parts = projection.parts();
  if (arguments.batch) options.batch = static_cast<std::size_t>(parse_integer("--batch", *arguments.batch, 1, 10'000));
  if (arguments.lease) options.lease = std::chrono::seconds(parse_integer("--lease", *arguments.lease, 1, 3'600));
  if (arguments.on_error == "dead-letter") options.on_error.then = ErrorPolicy::Then::dead_letter;
  if (arguments.on_error == "retry") options.on_error.then = ErrorPolicy::Then::retry;
  options.trouble = trouble_reporter(context);
  return options;
}

void say(const Context& context, const std::string& name, const char* what, std::int64_t number,
         const std::string& text) {
  if (context.json) {
    write_line({{"name", name}, {what, number}});
  } else {
    out().write_line(printable(name) + " " + text + std::to_string(number));
  }
}

bool is_held(EventStore& store, const driver::ProjectionKey& key) {
  try {
    const std::optional<driver::ProjectionState> state = store.driver().find_projection(key);
    return state && !holders(*state).empty();
  } catch (const Error&) {  // The runner tells of it.
    return false;
  }
}

int run(const Context& context, const ProjectionArguments& arguments) {
  using State = Subscription::State;
  EventStore store = context.open_store();
  const std::shared_ptr<SqlProjection> projection = SqlProjection::read(arguments.target, store.driver().name());
  const ProjectionOptions options = options_of(context, arguments, *projection);
  if (arguments.once) {
    const Position position = run_projection(store, *projection, options);
    say(context, projection->name(), "position", position.value(), "is at position ");
    return exit_ok;
  }
  Ending ending(false);
  ProjectionRunner runner(store, projection, options);
  bool waiting = false;
  ending.wait([&] {
    const State state = runner.state();
    // Nobody need have it: at first it waits for itself.
    const bool now_waiting = state == State::waiting_for_lease &&
                             is_held(store, {projection->name(), projection->tenant()}) && runner.state() == state;
    // In a group it is no news that there are others.
    if (now_waiting && !waiting && options.parts == 1 && !context.quiet) {
      message("stele: " + printable(projection->name()) + " is running elsewhere; waiting to take over");
    }
    waiting = now_waiting;
    return state == State::failed || state == State::stopped;
  });
  runner.stop();
  if (const std::optional<Error> error = runner.error()) throw Error(*error);
  return exit_ok;
}

int rebuild(const Context& context, const ProjectionArguments& arguments) {
  EventStore store = context.open_store();
  const std::shared_ptr<SqlProjection> projection = SqlProjection::read(arguments.target, store.driver().name());
  if (!projection->names_generation()) {
    throw UsageError(arguments.target +
                     ": create: has no {generation}, so that a rebuild would write to the tables that are in use");
  }
  const std::int32_t generation = rebuild_projection(store, *projection, options_of(context, arguments, *projection));
  say(context, projection->name(), "generation", generation, "was rebuilt: its generation is now ");
  return exit_ok;
}

int reset(const Context& context, const ProjectionArguments& arguments) {
  const std::string& target = arguments.target;
  const bool is_file = target.ends_with(".json") || target.find('/') != std::string::npos;
  EventStore store = context.open_store();
  if (is_file) {
    if (!arguments.tenant.empty()) throw UsageError("--tenant: the file says whose it is");
    const std::shared_ptr<SqlProjection> projection = SqlProjection::read(target, store.driver().name());
    reset_projection(store, *projection, options_of(context, arguments, *projection));
  } else {
    driver::ProjectionKey key{target, arguments.tenant};
    if (key.tenant.empty()) key.tenant = store.tenant().value_or(std::string());
    if (!store.driver().find_projection(key)) throw_not_found(target);
    forget_progress(store, key);
  }
  return exit_ok;
}

CLI::App* add(CLI::App& group, Context& context, const std::shared_ptr<ProjectionArguments>& arguments,
              const char* name, const char* help,
              std::function<int(const Context&, const ProjectionArguments&)> action) {
  CLI::App* command = group.add_subcommand(name, help);
  command->callback([&context, arguments, action = std::move(action)] {
    context.action = [&context, arguments, action] { return action(context, *arguments); };
  });
  return command;
}

}  // namespace

void add_projection(CLI::App& app, Context& context) {
  CLI::App* group = app.add_subcommand("projection", "Say how far read models are, and run those written in SQL");
  group->require_subcommand(1);
  auto arguments = std::make_shared<ProjectionArguments>();
  ProjectionArguments& a = *arguments;

  add(*group, context, arguments, "list", "List projections, named subscriptions and relays",
      [](const Context& c, const ProjectionArguments&) { return list(c); });
  CLI::App* status_command = add(*group, context, arguments, "status",
                                 "Show each checkpoint, also of generations that are being built", projection_status);
  add_value(*status_command, "NAME", a.name, "Only of this one", "");

  CLI::App* run_command = add(*group, context, arguments, "run", "Keep a projection up to date until interrupted", run);
  run_command->add_flag("--once", a.once, "End when it is up to date");
  CLI::App* rebuild_command =
      add(*group, context, arguments, "rebuild", "Build it anew beside the one in use, then switch", rebuild);
  CLI::App* reset_command =
      add(*group, context, arguments, "reset", "Remove its checkpoints, and a file's tables", reset);
  CLI::App* letters_command =
      add(*group, context, arguments, "dead-letters", "List the events that it could not digest", dead_letters);

  for (CLI::App* command : {run_command, rebuild_command}) {
    command->add_option("FILE", a.target, "The projection's file")->required()->type_name("");
    add_value(*command, "--batch", a.batch, "Events in one transaction, at most; 1,000 unless given", "N");
    add_value(*command, "--lease", a.lease, "How long after its death another may take over; 10 unless given",
              "SECONDS");
    add_value(*command, "--on-error", a.on_error, "What becomes of an event that fails: stop unless given", "")
        ->check(CLI::IsMember({"stop", "dead-letter", "retry"}))
        ->type_name("stop|dead-letter|retry");
  }
  reset_command->add_option("TARGET", a.target, "A file (x.json, or with a slash in it), or a name")
      ->required()
      ->type_name("FILE|NAME");
  letters_command->add_option("NAME", a.target, "The projection's name")->required()->type_name("");
  add_value(*letters_command, "--limit", a.limit, "At most so many; 100 unless given", "N");
  for (CLI::App* command : {reset_command, letters_command}) {
    command->add_option("--tenant", a.tenant, "Of one that is of a single tenant")->type_name("TENANT");
  }
}

}  // namespace stele::cli
