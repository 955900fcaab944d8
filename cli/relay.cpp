// stele relay: hands the log on to something outside, in order and at least once.
#include "stele/relay.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "arguments.h"
#include "command_line.h"
#include "exit_codes.h"
#include "filter_arguments.h"
#include "long_running.h"
#include "output.h"
#include "stele/event_json.h"
#ifdef STELE_WITH_REDIS
#include "stele/relay/redis.h"
#endif

namespace stele::cli {
namespace {

struct RelayArguments {
  std::string name;
  std::optional<std::string> to, after, batch, lease;
  FilterArguments filter;
  bool from_beginning = false;
  bool from_now = false;
  bool once = false;
};

/// Lines on standard output.
class OutputPublisher final : public Publisher {
 public:
  void publish(std::span<const RecordedEvent> events) override {
    if (!begun_ && ends_in_a_torn_line()) out().write("\n");  // Else its rest would be the first event's line.
    begun_ = true;
    for (const RecordedEvent& event : events) out().write_line(to_json_line(event));
    out().flush();
    // The checkpoint must not be safer than what it says was handed on.
    if (is_file() && ::fdatasync(STDOUT_FILENO) != 0) {
      throw OutputError(errno, std::string("cannot write to standard output: ") + std::strerror(errno));
    }
  }

 private:
  static bool is_file() noexcept {
    struct stat about {};
    return ::fstat(STDOUT_FILENO, &about) == 0 && S_ISREG(about.st_mode);
  }

  /// Somebody was killed while writing to the file, or its disk was full. A file that may not be read does not tell.
  static bool ends_in_a_torn_line() noexcept {
    if (!is_file()) return false;
    const int file = ::open("/proc/self/fd/1", O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    const bool appends = (::fcntl(STDOUT_FILENO, F_GETFL) & O_APPEND) != 0;
    const off_t end = appends ? ::lseek(file, 0, SEEK_END) : ::lseek(STDOUT_FILENO, 0, SEEK_CUR);
    char last = '\n';
    const bool read = end > 0 && ::pread(file, &last, 1, end - 1) == 1;
    ::close(file);
    return read && last != '\n';
  }

  bool begun_ = false;
};

/// Ends the command with the first failure, in place of trying again.
class TriedOnce final : public Publisher {
 public:
  TriedOnce(std::shared_ptr<Publisher> to, Ending& ending) : to_(std::move(to)), ending_(ending) {}

  void publish(std::span<const RecordedEvent> events) override {
    try {
      rethrow_failure();
      to_->publish(events);
    } catch (...) {
      failure_ = std::current_exception();
      ending_.reached();
      throw;
    }
  }

  bool failed() const noexcept { return failure_ != nullptr; }
  void rethrow_failure() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  const std::shared_ptr<Publisher> to_;
  Ending& ending_;
  std::exception_ptr failure_;
};

std::shared_ptr<Publisher> publisher_to(const std::string& url, const RelayOptions& options) {
  if (url == "-") return std::make_shared<OutputPublisher>();
  try {
#ifdef STELE_WITH_REDIS
    return std::make_shared<RedisPublisher>(url, options.name, options.filter.tenant.value_or(std::string()));
#else
    if (!options.name.empty() && url.starts_with("redis:"))
      throw UsageError("--to: this program was built without Redis");
    throw UsageError("--to: neither - nor a URL that this program knows");
#endif
  } catch (const Error& error) {
    throw UsageError("--to: " + error.message());
  }
}

RelayOptions options_of(const RelayArguments& arguments) {
  RelayOptions options;
  options.name = arguments.name;
  if (arguments.after) options.start = Start::after(Position(parse_integer("--after", *arguments.after)));
  if (arguments.from_now) options.start = Start::now();
  options.filter = filter_of(arguments.filter);
  if (arguments.batch) options.batch = static_cast<std::size_t>(parse_integer("--batch", *arguments.batch, 1, 10'000));
  if (arguments.lease) options.lease = std::chrono::seconds(parse_integer("--lease", *arguments.lease, 1, 3'600));
  return options;
}

int relay(const Context& context, const RelayArguments& arguments) {
  using State = Subscription::State;
  RelayOptions options = options_of(arguments);
  const bool prints = *arguments.to == "-";
  Ending ending(prints);
  std::shared_ptr<Publisher> publisher = publisher_to(*arguments.to, options);
  std::shared_ptr<TriedOnce> tried_once;
  if (prints || arguments.once) publisher = tried_once = std::make_shared<TriedOnce>(publisher, ending);
  options.trouble = [tried_once, report = trouble_reporter(context)](const Error& error) {
    if (!tried_once || !tried_once->failed()) report(error);
  };
  if (arguments.once) options.caught_up = [&ending](Position) { ending.reached(); };

  EventStore store = context.open_store();
  Relay relay(store, publisher, std::move(options));
  bool waiting = false;
  ending.wait([&] {
    const State state = relay.state();
    const bool now_waiting = state == State::waiting_for_lease;
    if (now_waiting && arguments.once) {
      throw CommandFailure(exit_busy, "relay " + printable(arguments.name) + " is running elsewhere");
    }
    if (now_waiting && !waiting && !context.quiet) {
      message("stele: relay " + printable(arguments.name) + " is running elsewhere; waiting to take over");
    }
    waiting = now_waiting;
    return state == State::failed;
  });
  relay.stop();
  if (tried_once) tried_once->rethrow_failure();
  if (const std::optional<Error> error = relay.error()) throw Error(*error);
  return exit_ok;
}

}  // namespace

void add_relay(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("relay", "Hand events on, in order, and remember under a name how far it came");
  auto arguments = std::make_shared<RelayArguments>();
  RelayArguments& a = *arguments;
  command->add_option("NAME", a.name, "The relay's name")->required()->type_name("");
  add_value(*command, "--to", a.to, "Standard output, or a Redis stream: redis://HOST/?stream=NAME", "-|URL")
      ->envname("STELE_RELAY_TO")
      ->required();
  CLI::Option* beginning = command->add_flag("--from-beginning", a.from_beginning,
                                             "The first time, begin with the first event; so it is unless told "
                                             "otherwise");
  CLI::Option* now = command->add_flag("--from-now", a.from_now, "The first time, begin with what comes from now on")
                         ->excludes(beginning);
  add_value(*command, "--after", a.after, "The first time, begin behind this position", "POSITION")
      ->excludes(beginning, now);
  add_filter(*command, a.filter);
  command->add_flag("--once", a.once, "End when everything was handed on");
  add_value(*command, "--batch", a.batch, "Events handed on at a time, at most; 256 unless given", "N");
  add_value(*command, "--lease", a.lease, "How long after its death another may take over; 10 unless given", "SECONDS");
  command->callback(
      [&context, arguments] { context.action = [&context, arguments] { return relay(context, *arguments); }; });
}

}  // namespace stele::cli
