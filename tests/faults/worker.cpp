// A process that appends until it is killed, or races with others. It says on standard output what was acknowledged,
// one line each, written at once: what its parent has read, the store had promised.
//
//   worker append URL NAME THREADS     appends batches to crash/NAME-0, crash/NAME-1 … until killed
//   worker race URL NAME THREADS N     N appends to streams of its own, N contested versions, N contested requests
//   worker fill URL NAME BYTES         appends until the file system refuses: files may not grow beyond BYTES
//   worker project URL NAME            runs the projection of projection_effects.h until killed
//   worker migrate URL

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "projection_effects.h"
#include "stele/backends.h"

namespace {

using namespace stele;

void say(const std::string& line) {
  const std::string text = line + "\n";
  if (write(STDOUT_FILENO, text.data(), text.size()) != static_cast<ssize_t>(text.size())) _exit(3);
}

NewEvent batch_event(std::int64_t batch, int index, int size) {
  NewEvent event;
  event.type = "Written";
  event.data = Json("{\"batch\":" + std::to_string(batch) + ",\"index\":" + std::to_string(index) +
                    ",\"size\":" + std::to_string(size) + "}");
  return event;
}

std::vector<NewEvent> batch_of(std::int64_t batch, int size) {
  std::vector<NewEvent> events;
  for (int i = 0; i < size; ++i) events.push_back(batch_event(batch, i, size));
  return events;
}

void append_until_killed(EventStore& store, const std::string& name, int thread) {
  const StreamKey stream("crash", name + "-" + std::to_string(thread));
  for (std::int64_t batch = 1;; ++batch) {
    AppendRequest request;
    request.streams.push_back({stream, ExpectedVersion::any(), batch_of(batch, 1 + static_cast<int>(batch % 5))});
    if (batch % 2 == 0) {
      Command command;
      command.key = {std::string(default_tenant), "worker", stream.id + "/" + std::to_string(batch)};
      command.type = "Write";
      request.command = command;
    }
    const AppendResult result = store.append(request).or_throw();
    say("ACK " + stream.id + " " + std::to_string(result.streams[0].first_version.value()) + " " +
        std::to_string(result.streams[0].last_version.value()) + " " + std::to_string(batch));
  }
}

void race(EventStore& store, const std::string& name, int thread, int from, int until) {
  for (int i = from; i < until; ++i) {
    const StreamKey own("own", name + "-" + std::to_string(thread));
    const AppendResult mine = store.append(own, ExpectedVersion::any(), batch_of(i, 1)).or_throw();
    say("OWN " + own.id + " " + std::to_string(mine.streams[0].last_version.value()));

    // Everybody expects the same version of one stream; for each version one may win.
    const StreamKey contested("contested", "one");
    const Version seen = store.stream_version(contested);
    const AppendResult contest = store.append(contested, ExpectedVersion::exactly(seen), batch_of(i, 1));
    say((contest.ok() ? "WON " : "LOST ") + std::to_string(seen.value() + 1) + " 0");

    // Everybody makes the same requests.
    AppendRequest request;
    Command command;
    command.key = {std::string(default_tenant), "race", std::to_string(i)};
    command.type = "Write";
    request.command = command;
    request.streams.push_back({StreamKey("requested", std::to_string(i % 7)), ExpectedVersion::any(), batch_of(i, 2)});
    const AppendResult once = store.append(request).or_throw();
    say((once.replayed() ? "REPLAYED " : "APPENDED ") + std::to_string(i) + " " +
        std::to_string(once.streams[0].first_version.value()) + ":" +
        std::to_string(once.streams[0].last_position.value()));
  }
}

int fill(EventStore& store, const std::string& name, rlim_t bytes) {
  signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{bytes, bytes};
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
  const StreamKey stream("fill", name);
  for (std::int64_t batch = 1; batch < 1'000'000; ++batch) {
    try {
      const AppendResult result = store.append(stream, ExpectedVersion::any(), batch_of(batch, 20)).or_throw();
      say("ACK " + stream.id + " " + std::to_string(result.streams[0].first_version.value()) + " " +
          std::to_string(result.streams[0].last_version.value()) + " " + std::to_string(batch));
    } catch (const Error& error) {
      say("FAILED " + std::string(to_string(error.code())) + " " + std::string(to_string(error.outcome())));
      return 0;
    }
  }
  return 4;
}

int project(EventStore& store, const std::string& name, const std::string& tables) {
  const auto projection = std::make_shared<testing::SumsProjection>(name, tables);
  projection->applying = [first = true]() mutable {
    if (std::exchange(first, false)) say("APPLYING");
  };
  ProjectionOptions options;
  options.lease = std::chrono::seconds(1);
  options.batch = 20;
  ProjectionRunner runner(store, projection, options);
  runner.join();
  return 0;
}

int run(const std::vector<std::string>& args) {
  const std::string& mode = args[0];
  const std::string& url = args[1];
  if (mode == "migrate") {
    EventStore::open(default_registry(), url, {.migrate = true});
    return 0;
  }
  EventStore store = stele::open(url);
  if (mode == "fill") return fill(store, args[2], static_cast<rlim_t>(std::stoll(args[3])));
  if (mode == "project") return project(store, args[2], testing::tables_of(url));
  const int threads = std::stoi(args[3]);
  std::vector<std::thread> running;
  std::atomic<bool> failed{false};
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      try {
        if (mode == "append") {
          append_until_killed(store, args[2], t);
        } else {
          const int count = std::stoi(args[4]) / threads;
          race(store, args[2], t, t * count, (t + 1) * count);
        }
      } catch (const std::exception& error) {
        std::fprintf(stderr, "worker: %s\n", error.what());
        failed = true;
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  return failed ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "worker: %s\n", error.what());
    return 1;
  }
}
