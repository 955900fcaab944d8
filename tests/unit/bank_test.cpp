// The example's transfer(), which does by hand for two streams what Repository::execute() does for one.
#include "bank.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "memory_store.h"
#include "stele/testing/forwarding_driver.h"

namespace stele {
namespace {

/// Does something once, before an account is loaded.
class Interrupted final : public testing::ForwardingDriver {
 public:
  explicit Interrupted(std::function<void()>& before_load)
      : ForwardingDriver(testing::memory_driver()), before_load_(before_load) {}

  std::optional<Snapshot> find_snapshot(const StreamKey& stream, Version at_or_below,
                                        std::optional<std::int32_t> schema_version) override {
    if (const auto call = std::exchange(before_load_, nullptr)) call();
    return ForwardingDriver::find_snapshot(stream, at_or_below, schema_version);
  }

 private:
  std::function<void()>& before_load_;
};

class BankTransfer : public ::testing::Test {
 protected:
  BankTransfer() {
    for (const char* account : {"a", "b"}) bank.open(account, account, "somebody").or_throw();
    bank.deposit("first", "a", 100).or_throw();
  }

  std::function<void()> before_load;
  EventStore store{std::make_unique<Interrupted>(before_load)};
  bank::Bank bank{store};
};

TEST_F(BankTransfer, IsNotRefusedForWhatItsTwinHasDone) {
  AppendResult of_twin;
  before_load = [&] { of_twin = bank.transfer("all", "a", "b", 100); };
  const AppendResult result = bank.transfer("all", "a", "b", 100);
  EXPECT_EQ(of_twin.status, AppendStatus::appended);
  EXPECT_EQ(result.status, AppendStatus::replayed);
  EXPECT_EQ(result.streams, of_twin.streams);
  EXPECT_THROW(bank.transfer("another", "a", "b", 100), bank::Refused);
}

TEST_F(BankTransfer, UnderANumberThatWasUsedForAnotherRequestIsNotDone) {
  bank.transfer("1", "a", "b", 50).or_throw();
  EXPECT_EQ(bank.transfer("1", "a", "b", 49).status, AppendStatus::request_id_reused);
  EXPECT_EQ(bank.transfer("first", "a", "b", 50).status, AppendStatus::request_id_reused);
  AppendRequest without_data;
  without_data.command.emplace();
  without_data.command->key = {"default", "bank-app", "2"};
  without_data.command->type = "Transfer";
  without_data.streams.push_back({{"other", "1"}, ExpectedVersion::any(), {testing::event_of("Happened")}});
  store.append(without_data).or_throw();
  EXPECT_EQ(bank.transfer("2", "a", "b", 50).status, AppendStatus::request_id_reused);
  EXPECT_EQ(bank.accounts().load("a").state.cents, 50);
}

}  // namespace
}  // namespace stele
