#include "bank.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

namespace bank {
namespace {

constexpr int attempts = 50;

stele::Command command(const std::string& request, std::string type, const nlohmann::json& data) {
  stele::Command made;
  made.key.source = "bank-app";
  made.key.request_id = request;
  made.type = std::move(type);
  made.data = stele::Json(data);
  return made;
}

stele::RepositoryOptions options() {
  stele::RepositoryOptions made;
  made.attempts = attempts;
  made.first_pause = std::chrono::milliseconds(1);
  made.snapshots.every_events = 20;
  made.snapshots.keep = 2;
  return made;
}

}  // namespace

Bank::Bank(stele::EventStore& store) : store_(store), accounts_(store, options()) {}

stele::AppendResult Bank::open(const std::string& request, const std::string& account, const std::string& owner) const {
  return accounts_
      .execute(
          account, [&](const Account& now) { return now.open(owner); },
          command(request, "OpenAccount", {{"owner", owner}}))
      .result;
}

stele::AppendResult Bank::deposit(const std::string& request, const std::string& account, std::int64_t cents) const {
  return accounts_
      .execute(
          account, [&](const Account& now) { return now.deposit(cents); },
          command(request, "Deposit", {{"cents", cents}}))
      .result;
}

stele::AppendResult Bank::withdraw(const std::string& request, const std::string& account, std::int64_t cents) const {
  return accounts_
      .execute(
          account, [&](const Account& now) { return now.withdraw(cents); },
          command(request, "Withdraw", {{"cents", cents}}))
      .result;
}

// What Repository::execute() does for one stream, for two.
stele::AppendResult Bank::transfer(const std::string& request, const std::string& from, const std::string& to,
                                   std::int64_t cents) const {
  if (from == to) throw Refused("a transfer needs two accounts");
  stele::AppendRequest both;
  both.command = command(request, "Transfer", {{"from", from}, {"to", to}, {"cents", cents}});
  if (std::optional<stele::AppendResult> done = outcome_of(*both.command)) return *std::move(done);
  for (int attempt = 1;; ++attempt) {
    const stele::Loaded<Account> giver = accounts_.load(from);
    const stele::Loaded<Account> taker = accounts_.load(to);
    both.streams.clear();
    try {
      both.streams.push_back(
          {giver.stream, stele::ExpectedVersion::exactly(giver.version), giver.state.withdraw(cents)});
      both.streams.push_back(
          {taker.stream, stele::ExpectedVersion::exactly(taker.version), taker.state.deposit(cents)});
    } catch (const Refused&) {
      // The same request, sent twice, may have been done meanwhile: then the money is gone because it was.
      if (std::optional<stele::AppendResult> done = outcome_of(*both.command)) return *std::move(done);
      throw;
    }
    stele::AppendResult result = store_.append(both);
    if (result.status != stele::AppendStatus::conflict || attempt == attempts) return result;
    std::this_thread::sleep_for(std::chrono::milliseconds(attempt));
  }
}

std::optional<stele::AppendResult> Bank::outcome_of(const stele::Command& wanted) const {
  std::optional<stele::CommandRecord> done = store_.find_command(wanted.key);
  if (!done) return std::nullopt;
  stele::AppendResult result;
  if (done->type == wanted.type && done->data && stele::json_equal(*done->data, *wanted.data)) {
    result.status = stele::AppendStatus::replayed;
    result.streams = std::move(done->outcome);
  } else {
    result.status = stele::AppendStatus::request_id_reused;
    result.detail = "the request's number was used before";
  }
  return result;
}

}  // namespace bank
