// A ledger of one account: appends under a command, meets a conflict, repeats a request, and reads what was so at an
// earlier time.
//
//     quickstart [URL]      default: sqlite::memory:
#include <stele/backends.h>
#include <stele/stele.h>

#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

namespace {

stele::NewEvent event(std::string type, std::int64_t cents) {
  stele::NewEvent made;
  made.type = std::move(type);
  made.data = stele::Json(nlohmann::json{{"cents", cents}});
  return made;
}

/// The state of an account is what its events add up to.
std::int64_t balance(stele::EventStore& store, const stele::StreamKey& account,
                     const stele::StreamReadOptions& options = {}) {
  std::int64_t cents = 0;
  for (const stele::RecordedEvent& happened : store.read_stream(account, options)) {
    const std::int64_t amount = happened.data.value().at("cents").get<std::int64_t>();
    cents += happened.type == "Withdrawn" ? -amount : amount;
  }
  return cents;
}

[[noreturn]] void fail(std::string_view what) {
  std::cerr << "not as expected: " << what << '\n';
  std::exit(1);
}

void run(std::string_view url) {
  stele::EventStore store = stele::open(url, {.migrate = true});
  const stele::StreamKey account("account", "NL-001");

  // Opens the account, which must not exist yet. Both events are written, or none.
  store.append(account, stele::ExpectedVersion::no_stream(), {event("Opened", 0), event("Deposited", 10'000)})
      .or_throw();

  // A withdrawal asked for by a client, under the client's own number. It was decided on version 2 of the account.
  stele::AppendRequest withdrawal;
  withdrawal.streams.push_back({account, stele::ExpectedVersion::exactly(2), {event("Withdrawn", 2'500)}});
  withdrawal.command.emplace();
  withdrawal.command->key = {.source = "mobile-app", .request_id = "req-42"};
  withdrawal.command->type = "Withdraw";
  withdrawal.command->actor = stele::Actor{stele::ActorType::user, "ada"};
  const stele::AppendResult written = store.append(withdrawal).or_throw();
  std::cout << "written at position " << written.last_position().value() << '\n';

  // The client never saw the answer and asks again: it gets the first answer, and nothing is withdrawn twice.
  const stele::AppendResult again = store.append(withdrawal);
  if (!again.replayed() || again.streams != written.streams) fail("a repeated request is replayed");
  std::cout << "the same request again: " << to_string(again.status) << '\n';

  // Somebody else decided on version 2 too. That is an ordinary result, and it says where the account is now.
  const stele::AppendResult late =
      store.append(account, stele::ExpectedVersion::exactly(2), {event("Withdrawn", 9'000)});
  if (late.status != stele::AppendStatus::conflict || late.conflict->actual != stele::Version(3)) fail("a conflict");
  std::cout << "a decision on old data: " << to_string(late.status) << ", the account is at version "
            << late.conflict->actual.value() << '\n';

  std::cout << "balance: " << balance(store, account) << '\n';
  if (balance(store, account) != 7'500) fail("the balance");

  // What the store knew when the account was at version 2.
  stele::StreamReadOptions then;
  then.to = stele::Version(2);
  if (balance(store, account, then) != 10'000) fail("the balance at version 2");

  // What it knew at a time: here, when the first event was recorded.
  stele::StreamReadOptions as_of;
  as_of.as_of = store.read_stream(account).next()->recorded_at;
  std::cout << "balance as of " << as_of.as_of->to_string() << ": " << balance(store, account, as_of) << '\n';
  if (balance(store, account, as_of) != 10'000) fail("the balance as of the opening");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? argv[1] : "sqlite::memory:");
  } catch (const stele::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
