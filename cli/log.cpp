// stele log: the events of the whole store by position, and with --follow those to come.
#include "arguments.h"
#include "command_line.h"
#include "events_table.h"
#include "exit_codes.h"
#include "filter_arguments.h"
#include "long_running.h"
#include "stele/subscription.h"

namespace stele::cli {
namespace {

struct LogArguments {
  std::optional<std::string> after, before, as_of, limit, interval;
  FilterArguments filter;
  bool backwards = false;
  bool follow = false;
};

LogReadOptions options_of(const LogArguments& arguments) {
  LogReadOptions options;
  if (arguments.backwards) options.direction = Direction::backwards;
  if (arguments.after) options.after = Position(parse_integer("--after", *arguments.after));
  if (arguments.before) options.before = Position(parse_integer("--before", *arguments.before, 1));
  if (arguments.limit) options.limit = static_cast<std::uint64_t>(parse_integer("--limit", *arguments.limit, 1));
  if (arguments.as_of) options.as_of = parse_time("--as-of", *arguments.as_of);
  options.filter = filter_of(arguments.filter);
  return options;
}

int follow(const Context& context, EventStore& store, const LogReadOptions& read,
           std::optional<std::chrono::milliseconds> interval, EventPrinter& printer) {
  SubscriptionOptions options;
  options.start = Start::after(read.after);
  options.filter = read.filter;
  if (interval) options.poll_interval = *interval;
  options.trouble = trouble_reporter(context);

  Ending ending(true);
  std::exception_ptr failure;
  std::optional<std::uint64_t> left = read.limit;
  bool done = false;
  Subscription subscription(store, std::move(options), [&](const RecordedEvent& event) {
    if (done) return;
    try {
      printer.print(event);
    } catch (...) {  // Standard output is nothing to try again.
      failure = std::current_exception();
    }
    done = failure != nullptr || (left && --*left == 0);
    if (done) ending.reached();
  });
  ending.wait([&] { return subscription.state() == Subscription::State::failed; });
  subscription.stop();
  if (failure) std::rethrow_exception(failure);
  if (const std::optional<Error> error = subscription.error()) throw Error(*error);
  printer.end();
  return exit_ok;
}

int log(const Context& context, const LogArguments& arguments) {
  LogReadOptions options = options_of(arguments);
  std::optional<std::chrono::milliseconds> interval;
  if (arguments.interval) interval.emplace(parse_integer("--interval", *arguments.interval, 1, 3'600'000));
  EventStore store = context.open_store();
  EventPrinter printer(context.json, true, arguments.follow);
  if (arguments.follow) return follow(context, store, options, interval, printer);
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
  CLI::Option* until = add_filter(*command, a.filter);
  CLI::Option* as_of = add_value(*command, "--as-of", a.as_of, "Recorded by this time", "TIME");
  CLI::Option* backwards = command->add_flag("--backwards", a.backwards, "The last event first");
  add_value(*command, "--limit", a.limit, "At most so many events", "N");
  CLI::Option* follow = command->add_flag("--follow", a.follow, "Wait for further events until interrupted")
                            ->excludes(before, until, as_of, backwards);
  add_value(*command, "--interval", a.interval,
            "How often to look for them, if nothing tells of them; 500 unless given", "MILLISECONDS")
      ->needs(follow);
  command->callback(
      [&context, arguments] { context.action = [&context, arguments] { return log(context, *arguments); }; });
}

}  // namespace stele::cli
