#include "account.h"

#include <nlohmann/json.hpp>

namespace bank {
namespace {

std::vector<stele::NewEvent> one_event(std::string type, const nlohmann::json& data) {
  stele::NewEvent event;
  event.type = std::move(type);
  event.data = stele::Json(data);
  return {event};
}

void require(bool holds, const char* otherwise) {
  if (!holds) throw Refused(otherwise);
}

}  // namespace

void Account::apply(const stele::RecordedEvent& event) {
  const nlohmann::json data = event.data.value();
  if (event.type == "AccountOpened") {
    opened = true;
    owner = data.at("owner").get<std::string>();
  } else if (event.type == "MoneyDeposited") {
    cents += data.at("cents").get<std::int64_t>();
  } else if (event.type == "MoneyWithdrawn") {
    cents -= data.at("cents").get<std::int64_t>();
  }
}

std::vector<stele::NewEvent> Account::open(const std::string& for_owner) const {
  require(!opened, "the account is open already");
  return one_event("AccountOpened", {{"owner", for_owner}});
}

std::vector<stele::NewEvent> Account::deposit(std::int64_t amount) const {
  require(opened, "there is no such account");
  require(amount > 0, "an amount is more than nothing");
  return one_event("MoneyDeposited", {{"cents", amount}});
}

std::vector<stele::NewEvent> Account::withdraw(std::int64_t amount) const {
  require(opened, "there is no such account");
  require(amount > 0, "an amount is more than nothing");
  require(amount <= cents, "the account holds less");
  return one_event("MoneyWithdrawn", {{"cents", amount}});
}

stele::Json Account::to_snapshot() const {
  return stele::Json(nlohmann::json{{"opened", opened}, {"owner", owner}, {"cents", cents}});
}

Account Account::from_snapshot(const stele::Json& snapshot) {
  const nlohmann::json state = snapshot.value();
  return {state.at("opened").get<bool>(), state.at("owner").get<std::string>(), state.at("cents").get<std::int64_t>()};
}

}  // namespace bank
