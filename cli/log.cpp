// stele log: the events of the whole store by position, and with --follow those to come.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>

#include "arguments.h"
#include "command_line.h"
#include "events_table.h"
#include "exit_codes.h"
#include "stele/driver/driver.h"
#include "stele/error.h"

namespace stele::cli {
namespace {

struct LogArguments {
  std::optional<std::string> after, before, source, since, until, occurred_since, occurred_until, correlation,
      causation, actor, valid_at, as_of, tenant, limit, interval;
  std::vector<std::string> stream_types, event_types, attributes;
  bool backwards = false;
  bool follow = false;
};

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = true; };
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

LogFilter filter_of(const LogArguments& arguments) {
  LogFilter filter;
  filter.tenant = arguments.tenant;
  filter.stream_types = arguments.stream_types;
  filter.event_types = arguments.event_types;
  filter.source = arguments.source;
  if (arguments.actor) {
    // A whole class of actors, or one.
    if (const std::optional<ActorType> type = parse_actor_type(*arguments.actor)) {
      filter.actor_type = type;
    } else {
      const Actor actor = parse_actor("--actor", *arguments.actor);
      filter.actor_type = actor.type;
      filter.actor_id = actor.id;
    }
  }
  if (arguments.correlation) filter.correlation_id = parse_uuid("--correlation", *arguments.correlation);
  if (arguments.causation) filter.causation_id = parse_uuid("--causation", *arguments.causation);
  if (arguments.since) filter.recorded_from = parse_time("--since", *arguments.since);
  if (arguments.until) filter.recorded_until = parse_time("--until", *arguments.until);
  if (arguments.occurred_since) filter.occurred_from = parse_time("--occurred-since", *arguments.occurred_since);
  if (arguments.occurred_until) filter.occurred_until = parse_time("--occurred-until", *arguments.occurred_until);
  if (arguments.valid_at) filter.valid_at = parse_time("--valid-at", *arguments.valid_at);
  for (const std::string& attribute : arguments.attributes) {
    filter.attributes.push_back(parse_pair("--attribute", attribute, '='));
  }
  return filter;
}

LogReadOptions options_of(const LogArguments& arguments) {
  LogReadOptions options;
  if (arguments.backwards) options.direction = Direction::backwards;
  if (arguments.after) options.after = Position(parse_integer("--after", *arguments.after));
  if (arguments.before) options.before = Position(parse_integer("--before", *arguments.before, 1));
  if (arguments.limit) options.limit = static_cast<std::uint64_t>(parse_integer("--limit", *arguments.limit, 1));
  if (arguments.as_of) options.as_of = parse_time("--as-of", *arguments.as_of);
  options.filter = filter_of(arguments);
  return options;
}

void check_standard_output() {
  pollfd output{STDOUT_FILENO, 0, 0};
  if (::poll(&output, 1, 0) > 0 && (output.revents & POLLERR) != 0) {
    throw OutputError(EPIPE, "standard output was closed");
  }
}

/// Waits for an append, but not longer than `interval`; nor when a signal comes or the reader of standard output goes
/// away, which the listener does not know of.
void wait_for_append(driver::AppendListener& listener, std::chrono::milliseconds interval) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  using std::chrono::steady_clock;
  constexpr milliseconds slice{200};
  const auto deadline = steady_clock::now() + interval;
  while (!interrupted) {
    check_standard_output();
    const auto begin = steady_clock::now();
    const milliseconds left = duration_cast<milliseconds>(deadline - begin);
    if (left <= milliseconds::zero()) return;
    const milliseconds chosen = std::min(left, slice);
    listener.wait(chosen);
    // Back early: something was appended. Back late: it had to connect again, and may have missed something.
    const auto waited = steady_clock::now() - begin;
    if (waited < chosen || waited > chosen + slice) return;
  }
}

/// Prints what is there after options.after, and moves it behind what was seen. False when the limit is reached.
bool print_new_events(EventStore& store, LogReadOptions& options, EventPrinter& printer) {
  // What the filter leaves out need not be looked at again by the next poll: all up to here is looked at by this one.
  const Position seen = last_position(store);
  if (seen <= options.after) return true;
  EventReader reader = store.read_log(options);
  while (!interrupted) {
    const RecordedEvent* event = reader.next();
    if (event == nullptr) {
      options.after = std::max(options.after, seen);
      return true;
    }
    printer.print(*event);
    options.after = event->position;
    if (options.limit && --*options.limit == 0) return false;
  }
  return true;
}

int follow(EventStore& store, LogReadOptions options, EventPrinter& printer, std::chrono::milliseconds interval) {
  stop_on_signals();
  const std::unique_ptr<driver::AppendListener> listener = store.driver().listen();
  while (!interrupted) {
    try {
      if (!print_new_events(store, options, printer)) break;
    } catch (const Error& error) {
      if (!error.retryable()) throw;
    }
    wait_for_append(*listener, interval);
  }
  printer.end();
  return exit_ok;
}

int log(const Context& context, const LogArguments& arguments) {
  LogReadOptions options = options_of(arguments);
  const std::chrono::milliseconds interval(
      arguments.interval ? parse_integer("--interval", *arguments.interval, 1, 3'600'000) : 200);
  EventStore store = context.open_store();
  EventPrinter printer(context.json, true, arguments.follow);
  if (arguments.follow) return follow(store, std::move(options), printer, interval);
  EventReader reader = store.read_log(std::move(options));
  while (const RecordedEvent* event = reader.next()) printer.print(*event);
  printer.end();
  return exit_ok;
}

}  // namespace

void add_log(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("log", "Print the events of all streams in the order of the log");
  auto arguments = std::make_shared<LogArguments>();
  LogArguments& a = *arguments;
  add_value(*command, "--after", a.after, "Behind this position", "POSITION");
  CLI::Option* before = add_value(*command, "--before", a.before, "Before this position", "POSITION");
  add_values(*command, "--stream-type", a.stream_types, "Of this stream type; may be repeated: any of them", "TYPE");
  add_values(*command, "--type", a.event_types, "Of this event type; may be repeated: any of them", "TYPE");
  add_value(*command, "--source", a.source, "From this producing system", "SOURCE");
  add_value(*command, "--since", a.since, "Recorded at or after", "TIME");
  CLI::Option* until = add_value(*command, "--until", a.until, "Recorded before", "TIME");
  add_value(*command, "--occurred-since", a.occurred_since, "Occurred at or after", "TIME");
  add_value(*command, "--occurred-until", a.occurred_until, "Occurred before", "TIME");
  add_value(*command, "--correlation", a.correlation, "With this correlation id", "UUID");
  add_value(*command, "--causation", a.causation, "With this causation id", "UUID");
  add_value(*command, "--actor", a.actor, "By this actor, or by all of a type", "TYPE[:ID]");
  add_values(*command, "--attribute", a.attributes, "With this attribute; may be repeated: all of them", "NAME=VALUE");
  add_value(*command, "--valid-at", a.valid_at, "Valid at this business time", "TIME");
  CLI::Option* as_of = add_value(*command, "--as-of", a.as_of, "Recorded by this time", "TIME");
  add_value(*command, "--tenant", a.tenant, "Of this tenant; of all unless given", "TENANT");
  CLI::Option* backwards = command->add_flag("--backwards", a.backwards, "The last event first");
  add_value(*command, "--limit", a.limit, "At most so many events", "N");
  CLI::Option* follow = command->add_flag("--follow", a.follow, "Wait for further events until interrupted")
                            ->excludes(before, until, as_of, backwards);
  add_value(*command, "--interval", a.interval,
            "How often to look for them, if nothing tells of them; 200 unless given", "MILLISECONDS")
      ->needs(follow);
  command->callback(
      [&context, arguments] { context.action = [&context, arguments] { return log(context, *arguments); }; });
}

}  // namespace stele::cli
