// A bank whose clients do not wait for each other: several threads deposit, withdraw and transfer between the same few
// accounts, meet conflicts, and send some requests twice. No cent may appear or get lost.
//
//     bank [URL]      default: memory:       fresh accounts at every run, so that a store may be used again
#include <stele/backends.h>
#include <stele/stele.h>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <random>
#include <thread>

#include "bank.h"

namespace {

constexpr int account_count = 4;
constexpr int client_count = 4;
constexpr int requests_per_client = 40;
constexpr std::int64_t first_deposit = 100'000;

void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::cerr << "not as expected: " << what << '\n';
  std::exit(1);
}

/// What the clients did, as they were told.
struct Tally {
  std::atomic<std::int64_t> deposited{0};
  std::atomic<std::int64_t> withdrawn{0};
  std::atomic<int> transfers{0};
  std::atomic<int> refused{0};
  std::atomic<int> replayed{0};
};

/// One client: random requests, each under a number of its own, every fifth sent twice.
void be_a_client(const bank::Bank& bank, const std::vector<std::string>& accounts, const std::string& name,
                 unsigned seed, Tally& tally) {
  std::mt19937 random(seed);
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int i = 0; i < requests_per_client; ++i) {
    const std::string request = name + "/" + std::to_string(i);
    const auto account = static_cast<std::size_t>(pick(0, account_count - 1));
    const std::size_t other = (account + static_cast<std::size_t>(pick(1, account_count - 1))) % account_count;
    const int what = pick(0, 3);
    const std::int64_t cents = pick(1, 60'000);
    const auto ask = [&] {
      stele::AppendResult result = what == 0   ? bank.deposit(request, accounts[account], cents)
                                   : what == 1 ? bank.withdraw(request, accounts[account], cents)
                                               : bank.transfer(request, accounts[account], accounts[other], cents);
      result.or_throw();
      return result;
    };
    try {
      const stele::AppendResult first = ask();
      if (what == 0) tally.deposited += cents;
      if (what == 1) tally.withdrawn += cents;
      if (what > 1) ++tally.transfers;
      if (i % 5 != 0) continue;
      // The answer was lost on its way, and the client asks again.
      const stele::AppendResult again = ask();
      expect(again.replayed() && again.streams == first.streams, "a repeated request gets the first answer");
      ++tally.replayed;
    } catch (const bank::Refused&) {
      ++tally.refused;
    }
  }
}

void run(std::string_view url) {
  stele::EventStore store = stele::open(url, {.migrate = true});
  const bank::Bank bank(store);
  const std::string run = stele::Uuid::v7().to_string();

  std::vector<std::string> accounts;
  for (int i = 0; i < account_count; ++i) {
    accounts.push_back(run + "-" + std::to_string(i));
    const std::string request = run + "/open/" + std::to_string(i);
    bank.open(request, accounts.back(), "owner " + std::to_string(i)).or_throw();
    bank.deposit(request + "/deposit", accounts.back(), first_deposit).or_throw();
    // The account is open by now, and still the same request is not refused: it was done.
    expect(bank.open(request, accounts.back(), "owner " + std::to_string(i)).replayed(), "opening is done once");
  }

  Tally tally;
  std::exception_ptr failure;
  std::atomic<bool> failed{false};
  {
    std::vector<std::jthread> clients;
    for (unsigned c = 0; c < client_count; ++c) {
      clients.emplace_back([&, c] {
        try {
          be_a_client(bank, accounts, run + "/client-" + std::to_string(c), c, tally);
        } catch (...) {
          if (!failed.exchange(true)) failure = std::current_exception();
        }
      });
    }
  }
  if (failure) std::rethrow_exception(failure);

  // What the accounts hold is what came in, less what went out; and a snapshot changes nothing about it.
  std::int64_t sum = 0;
  std::int64_t events = 0;
  std::size_t from_snapshots = 0;
  for (const std::string& id : accounts) {
    const stele::Loaded<bank::Account> loaded = bank.accounts().load(id);
    bank::Account replayed;
    for (const stele::RecordedEvent& event : store.read_stream(loaded.stream)) {
      replayed.apply(event);
      expect(replayed.cents >= 0, "no account is ever overdrawn");
    }
    expect(loaded.state.cents == replayed.cents, "a snapshot and the events after it make the same as all events");
    sum += loaded.state.cents;
    events += loaded.version.value();
    if (loaded.snapshot_version > stele::Version(0)) ++from_snapshots;
    const auto kept = store.list_snapshots({.stream_type = loaded.stream.type, .stream_id = id});
    expect(kept.size() <= 2, "old snapshots are pruned");
  }
  const std::int64_t expected = account_count * first_deposit + tally.deposited - tally.withdrawn;

  std::cout << "accounts: " << account_count << ", events: " << events << ", loaded from a snapshot: " << from_snapshots
            << "\ntransfers: " << tally.transfers << ", refused: " << tally.refused
            << ", asked twice and done once: " << tally.replayed << "\nsum of balances: " << sum
            << "\nexpected: " << expected << '\n';
  expect(sum == expected, "the sum of the balances");
  expect(tally.transfers > 0 && tally.refused > 0 && tally.replayed > 0, "something of everything happened");
  expect(from_snapshots > 0, "there are snapshots");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? argv[1] : "memory:");
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
