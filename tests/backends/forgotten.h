// Somebody who is to leave no trace: what the tests of forgetting write, on whichever backend.
#pragma once

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "stele/event_json.h"
#include "stele/event_store.h"
#include "stele/key_provider.h"

namespace stele::testing {

/// Stands in everything that is personal, and nowhere else.
inline constexpr const char* marker = "Mustermann-7f3a9";

inline std::shared_ptr<KeyProvider> keys_of_a_test() {
  constexpr const char* variable = "STELE_TEST_MASTER_KEYS";
  ::setenv(variable, new_master_key_line("test").c_str(), 1);
  return environment_key_provider(variable);
}

/// So many events of "erika" over a hundred streams, each append under a command that has personal data too, and
/// snapshots of some of the streams that hold it in the clear.
inline void write_marked(EventStore& store, int events) {
  constexpr int streams = 100;
  const std::string data = R"({"name":")" + std::string(marker) + R"(","n":)";
  std::vector<AppendRequest> requests;
  for (int i = 0; i < events / 10; ++i) {
    AppendRequest request;
    StreamAppend& append = request.streams.emplace_back();
    append.stream = StreamKey("customer", std::to_string(i % streams));
    for (int k = 0; k < 10; ++k) {
      NewEvent& event = append.events.emplace_back();
      event.type = "Registered";
      event.data = Json(data + std::to_string(i * 10 + k) + "}");
      event.personal = PersonalData{"erika", {}};
      if (k % 2 == 0) event.personal->places = {"/name"};
    }
    Command& command = request.command.emplace();
    command.key = {std::string(default_tenant), "test", std::to_string(i)};
    command.type = "register";
    command.data = Json(data + "0}");
    command.personal = PersonalData{"erika", {"/name"}};
    requests.push_back(std::move(request));
  }
  for (const AppendResult& result : store.append_all(requests)) result.or_throw();
  for (int i = 0; i < streams; i += 10) {
    Snapshot snapshot;
    snapshot.stream = StreamKey("customer", std::to_string(i));
    snapshot.version = Version(1);
    snapshot.state = Json(data + "1}");
    store.save_snapshot(snapshot);
  }
}

inline bool holds_marker(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return content.find(marker) != std::string::npos;
}

/// What `stele export` writes, and the records of all commands.
inline std::string exported(EventStore& store) {
  std::string text;
  for (const RecordedEvent& event : store.read_log()) text += to_json_line(event) + '\n';
  for (int stream = 0; stream < 100; ++stream) {
    for (const CommandRecord& command : store.list_commands(StreamKey("customer", std::to_string(stream)), 1'000)) {
      text += to_json_line(command) + '\n';
    }
  }
  return text;
}

}  // namespace stele::testing
