// Opens a store with the installed headers and libraries only, and checks what it does.
#include <stele/backends.h>
#include <stele/stele.h>

#include <iostream>

namespace {

int failures = 0;

void check(bool ok, const char* what) {
  if (ok) return;
  std::cerr << "FAILED: " << what << '\n';
  ++failures;
}

void run(const char* url) {
  std::cout << url << '\n';
  stele::EventStore store = stele::open(url, {.migrate = true});
  const stele::StreamKey stream("order", "o-1");

  stele::NewEvent placed;
  placed.type = "OrderPlaced";
  placed.data = stele::Json(R"({"total": 12345678901234567890.10})");
  const stele::AppendResult first = store.append(stream, stele::ExpectedVersion::no_stream(), {placed});
  check(first.status == stele::AppendStatus::appended, "the first append");

  const stele::AppendResult second = store.append(stream, stele::ExpectedVersion::no_stream(), {placed});
  check(second.conflict && second.conflict->actual == stele::Version(1), "a conflict tells the actual version");

  int read = 0;
  for (const stele::RecordedEvent& event : store.read_stream(stream)) {
    ++read;
    check(event.type == "OrderPlaced", "the event's type");
    check(stele::json_equal(event.data, placed.data), "the payload, every digit");
    check(event.position == first.last_position(), "the event's position");
  }
  check(read == 1, "one event");
  check(store.verify().ok(), "verify");

  try {
    store.append(stele::StreamKey("", "o-1"), stele::ExpectedVersion::any(), {placed});
    check(false, "an empty stream type is refused");
  } catch (const stele::Error& error) {
    check(error.code() == stele::ErrorCode::invalid_argument, "the code of an invalid argument");
  }
}

}  // namespace

int main() {
  try {
    run("sqlite::memory:");
    run("memory:");
  } catch (const stele::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return failures == 0 ? 0 : 1;
}
