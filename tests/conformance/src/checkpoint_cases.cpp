// Checkpoints, leases and the transactions of read models: what projections stand on.
#include <algorithm>
#include <atomic>
#include <future>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>

#include "prepared.h"
#include "support.h"

namespace stele::testing {
namespace {

using driver::AppendAnswer;
using driver::DeadLetter;
using driver::Driver;
using driver::Lease;
using driver::PartKey;
using driver::PartState;
using driver::ProjectionKey;
using driver::ProjectionKind;
using driver::ProjectionState;
using driver::ReadModelTransaction;
using std::chrono::milliseconds;

constexpr milliseconds long_time{600'000};
constexpr milliseconds short_time{20};

ProjectionKey stock(std::string tenant = {}) {
  return {"stock", std::move(tenant)};
}

PartKey part(int number = 0, int generation = 1, ProjectionKey projection = stock()) {
  return {std::move(projection), generation, number};
}

ProjectionState projection_of(Driver& driver, const ProjectionKey& key = stock()) {
  std::optional<ProjectionState> found = driver.find_projection(key);
  if (!found) throw std::runtime_error("the projection is missing");
  return std::move(*found);
}

PartState state_of(Driver& driver, const PartKey& key) {
  for (const PartState& state : projection_of(driver, key.projection).checkpoints) {
    if (state.key == key) return state;
  }
  throw std::runtime_error("the part is missing");
}

Lease lease_of(Driver& driver, const PartKey& key, const std::string& holder, milliseconds time = long_time) {
  const std::optional<Lease> lease = driver.acquire_lease(key, holder, time);
  if (!lease) throw std::runtime_error(holder + " did not get the lease");
  return *lease;
}

/// Waits, by the database's clock, until the lease of a part has run out.
void wait_until_over(Driver& driver, const PartKey& key) {
  for (int i = 0; state_of(driver, key).leased; ++i) {
    if (i > 2'000) throw std::runtime_error("the lease does not run out");
    std::this_thread::sleep_for(milliseconds(10));
  }
}

std::string be(const std::string& what) {
  return "cannot be " + what;
}

std::int64_t position_of(Driver& driver, const PartKey& key) {
  return state_of(driver, key).position.value();
}

using Numbers = std::map<std::string, std::int64_t>;

// --- Projections and generations

void a_projection_begins_at_0(Harness& harness) {
  const auto driver = harness.open();
  EXPECT_FALSE(driver->find_projection(stock()));
  const ProjectionState opened = driver->open_projection(stock(), 3);
  EXPECT_EQ(opened.key, stock());
  EXPECT_EQ(opened.parts, 3);
  EXPECT_EQ(opened.active_generation, 1);
  EXPECT_EQ(opened.dead_letters, 0);
  ASSERT_EQ(opened.checkpoints.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    const PartState& state = opened.checkpoints[static_cast<std::size_t>(i)];
    EXPECT_EQ(state.key, part(i));
    EXPECT_EQ(state.position, Position(0));
    EXPECT_EQ(state.holder, "");
    EXPECT_FALSE(state.leased);
    EXPECT_FALSE(state.leased_until);
    EXPECT_GT(state.updated_at.micros(), 0);
  }
}

void opening_it_again_changes_nothing(Harness& harness) {
  const auto driver = harness.open();
  driver->open_projection(stock(), 2);
  const Lease lease = lease_of(*driver, part(1), "a");
  const auto transaction = driver->begin_read_model();
  ASSERT_TRUE(transaction->move_checkpoint(lease, Position(7)));
  transaction->commit();
  const ProjectionState again = harness.open()->open_projection(stock(), 2);
  ASSERT_EQ(again.checkpoints.size(), 2u);
  EXPECT_EQ(again.checkpoints[1].position, Position(7));
  EXPECT_TRUE(again.checkpoints[1].leased);
  expect_error(ErrorCode::invalid_argument, "parts", [&] { driver->open_projection(stock(), 3); });
}

void a_name_has_one_use(Harness& harness) {
  const auto driver = harness.open();
  const std::map<ProjectionKind, std::string> names = {{ProjectionKind::projection, "a projection"},
                                                       {ProjectionKind::subscription, "a subscription"},
                                                       {ProjectionKind::relay, "a relay"},
                                                       {ProjectionKind::inline_projection, "an inline projection"}};
  for (const auto& [kind, name] : names) {
    const ProjectionKey key{"of " + std::string(to_string(kind)), ""};
    EXPECT_EQ(driver->open_projection(key, 1, Position(0), kind).kind, kind);
    EXPECT_EQ(projection_of(*driver, key).kind, kind);
    for (const auto& [other, other_name] : names) {
      if (other == kind) {
        EXPECT_EQ(driver->open_projection(key, 1, Position(0), kind).kind, kind);
        continue;
      }
      const auto open = [&, of = other] { driver->open_projection(key, 1, Position(0), of); };
      for (const std::string& part : {"'" + key.name + "'", name + " in", be(other_name)}) {
        expect_error(ErrorCode::invalid_argument, part, open);
      }
    }
    EXPECT_EQ(projection_of(*driver, key).kind, kind);
  }
  for (const ProjectionState& state : driver->list_projections()) {
    EXPECT_EQ(state.key.name, "of " + std::string(to_string(state.kind.value())));
  }
  // Another tenant's is another name.
  EXPECT_EQ(driver->open_projection({"of relay", "acme"}, 1).kind, ProjectionKind::projection);
}

void a_kind_changes_from_what_it_is(Harness& harness) {
  const auto driver = harness.open();
  const auto is_inline = [&](std::int32_t generation) {
    return driver->begin_read_model()->is_inline(stock(), generation);
  };
  EXPECT_FALSE(driver->change_kind(stock(), ProjectionKind::projection, ProjectionKind::inline_projection));
  EXPECT_FALSE(is_inline(1)) << "it is missing";
  driver->open_projection(stock(), 1);
  driver->open_projection(stock("acme"), 1);
  EXPECT_FALSE(is_inline(1));
  EXPECT_FALSE(driver->change_kind(stock(), ProjectionKind::relay, ProjectionKind::inline_projection));
  EXPECT_EQ(projection_of(*driver).kind, ProjectionKind::projection);
  EXPECT_TRUE(driver->change_kind(stock(), ProjectionKind::projection, ProjectionKind::inline_projection));
  EXPECT_EQ(projection_of(*driver).kind, ProjectionKind::inline_projection);
  EXPECT_EQ(projection_of(*driver, stock("acme")).kind, ProjectionKind::projection);
  EXPECT_TRUE(is_inline(1));
  EXPECT_FALSE(is_inline(2));
  driver->remove_projection(stock());
  EXPECT_FALSE(is_inline(1));
}

void everybody_opens_at_once(Harness& harness) {
  const auto driver = harness.open();
  for (int round = 0; round < rounds(20, 5); ++round) {
    const ProjectionKey key{"p" + std::to_string(round), ""};
    in_threads(4, [&](int) { EXPECT_EQ(driver->open_projection(key, 4).checkpoints.size(), 4u); });
    EXPECT_EQ(projection_of(*driver, key).checkpoints.size(), 4u);
  }
}

void projections_are_listed_in_byte_order(Harness& harness) {
  const auto driver = harness.open();
  const std::vector<ProjectionKey> keys = {{"B", ""}, {"a", ""}, {"a", "X"}, {"a", "x"}, {"a ", ""}, {"ä", ""}};
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) driver->open_projection(*key, 2);
  const std::vector<ProjectionState> list = driver->list_projections();
  std::vector<ProjectionKey> listed;
  for (const ProjectionState& state : list) {
    listed.push_back(state.key);
    ASSERT_EQ(state.checkpoints.size(), 2u);
    EXPECT_EQ(state.checkpoints[1].key, part(1, 1, state.key));
  }
  EXPECT_EQ(listed, keys);
  driver->remove_projection({"a", "x"});
  driver->remove_projection({"a", "x"});
  EXPECT_FALSE(driver->find_projection({"a", "x"}));
  EXPECT_EQ(driver->list_projections().size(), keys.size() - 1);
}

void generations_stand_side_by_side(Harness& harness) {
  const auto driver = harness.open();
  expect_error(ErrorCode::not_found, "stock", [&] { driver->add_generation(stock()); });
  driver->open_projection(stock(), 2);
  EXPECT_EQ(driver->add_generation(stock()), 2);
  EXPECT_EQ(driver->add_generation(stock()), 3);
  ProjectionState state = projection_of(*driver);
  EXPECT_EQ(state.active_generation, 1);
  std::vector<PartKey> keys;
  for (const PartState& checkpoint : state.checkpoints) keys.push_back(checkpoint.key);
  EXPECT_EQ(keys, (std::vector<PartKey>{part(0, 1), part(1, 1), part(0, 2), part(1, 2), part(0, 3), part(1, 3)}));
  expect_error(ErrorCode::invalid_argument, "active", [&] { driver->remove_generation(stock(), 1); });
  driver->remove_generation(stock(), 2);
  driver->remove_generation(stock(), 2);
  driver->remove_generation({"missing", ""}, 2);
  EXPECT_EQ(projection_of(*driver).checkpoints.size(), 4u);
  EXPECT_EQ(driver->add_generation(stock()), 4);
}

void generations_made_at_once_are_distinct(Harness& harness) {
  const auto driver = harness.open();
  driver->open_projection(stock(), 4);
  std::mutex mutex;
  std::set<std::int32_t> made;
  const int each = rounds(10, 5);
  in_threads(4, [&](int) {
    for (int i = 0; i < each; ++i) {
      const std::int32_t generation = driver->add_generation(stock());
      const std::lock_guard lock(mutex);
      EXPECT_TRUE(made.insert(generation).second) << generation;
    }
  });
  EXPECT_EQ(made.size(), static_cast<std::size_t>(4 * each));
  EXPECT_EQ(projection_of(*driver).checkpoints.size(), 4 * (made.size() + 1));
}

void a_switch_is_all_or_nothing(Harness& harness) {
  const auto driver = harness.open();
  Counters& counters = harness.counters();
  driver->open_projection(stock(), 2);
  driver->add_generation(stock());
  driver->add_generation(stock());
  const Lease old = lease_of(*driver, part(0, 1), "old");
  const Lease fresh = lease_of(*driver, part(0, 3), "new");
  {
    const auto transaction = driver->begin_read_model();
    counters.add(*transaction, "switched", 1);
    ASSERT_TRUE(transaction->move_checkpoint(fresh, Position(5)));
    ASSERT_TRUE(transaction->activate(stock(), 1, 3));
  }
  EXPECT_EQ(projection_of(*driver).active_generation, 1);
  EXPECT_EQ(projection_of(*driver).checkpoints.size(), 6u);
  EXPECT_EQ(counters.read(), Numbers());
  {
    const auto transaction = driver->begin_read_model();
    EXPECT_FALSE(transaction->activate(stock(), 2, 3)) << "2 is not the active one";
    EXPECT_FALSE(transaction->activate(stock(), 1, 9)) << "9 is missing";
    EXPECT_FALSE(transaction->activate({"missing", ""}, 1, 2));
    counters.add(*transaction, "switched", 1);
    ASSERT_TRUE(transaction->move_checkpoint(fresh, Position(5)));
    ASSERT_TRUE(transaction->activate(stock(), 1, 3));
    transaction->commit();
  }
  const ProjectionState state = projection_of(*driver);
  EXPECT_EQ(state.active_generation, 3);
  ASSERT_EQ(state.checkpoints.size(), 2u) << "those below are forgotten";
  EXPECT_EQ(state.checkpoints[0].key, part(0, 3));
  EXPECT_EQ(state.checkpoints[0].position, Position(5));
  EXPECT_EQ(counters.read(), (Numbers{{"switched", 1}}));
  const auto late = driver->begin_read_model();
  EXPECT_FALSE(late->move_checkpoint(old, Position(9))) << "who runs the old generation cannot go on";
  EXPECT_FALSE(late->activate(stock(), 1, 3)) << "somebody else did it";
}

// --- Leases

void a_lease_keeps_others_out(Harness& harness) {
  const auto driver = harness.open();
  driver->open_projection(stock(), 2);
  const Lease lease = lease_of(*driver, part(), "a");
  EXPECT_EQ(lease.key, part());
  EXPECT_EQ(lease.holder, "a");
  EXPECT_EQ(lease.position, Position(0));
  EXPECT_FALSE(harness.open()->acquire_lease(part(), "b", long_time));
  EXPECT_TRUE(driver->acquire_lease(part(1), "b", long_time)) << "the other part is free";
  const PartState state = state_of(*driver, part());
  EXPECT_EQ(state.holder, "a");
  EXPECT_TRUE(state.leased);
  ASSERT_TRUE(state.leased_until);
  EXPECT_EQ(state.fence, lease.fence);
  for (const PartKey& missing : {part(2), part(0, 2), part(0, 1, {"other", ""}), part(0, 1, stock("x"))}) {
    EXPECT_FALSE(driver->acquire_lease(missing, "a", long_time));
  }
}

void a_lease_that_is_given_back_is_free(Harness& harness) {
  const auto driver = harness.open();
  driver->open_projection(stock(), 1);
  const Lease a = lease_of(*driver, part(), "a");
  driver->release_lease(a);
  EXPECT_FALSE(state_of(*driver, part()).leased);
  EXPECT_FALSE(state_of(*driver, part()).leased_until);
  EXPECT_FALSE(driver->renew_lease(a, long_time)) << "it was given back";
  const Lease b = lease_of(*driver, part(), "b");
  driver->release_lease(a);
  EXPECT_TRUE(state_of(*driver, part()).leased) << "a had lost it, and gave nothing back";
  EXPECT_TRUE(driver->renew_lease(b, long_time));
}

void a_lease_runs_out(Harness& harness) {
  const auto driver = harness.open();
  driver->open_projection(stock(), 1);
  const Lease a = lease_of(*driver, part(), "a", short_time);
  wait_until_over(*driver, part());
  EXPECT_EQ(state_of(*driver, part()).holder, "a");
  const Lease b = lease_of(*driver, part(), "b");
  EXPECT_GT(b.fence, a.fence);
  EXPECT_FALSE(driver->renew_lease(a, long_time));
  EXPECT_EQ(state_of(*driver, part()).holder, "b");
}

void a_renewed_lease_goes_on(Harness& harness) {
  const auto driver = harness.open();
  driver->open_projection(stock(), 1);
  const Lease lease = lease_of(*driver, part(), "a", short_time);
  const std::optional<Timestamp> first = state_of(*driver, part()).leased_until;
  ASSERT_TRUE(driver->renew_lease(lease, long_time));
  EXPECT_GT(state_of(*driver, part()).leased_until, first);
  EXPECT_EQ(state_of(*driver, part()).fence, lease.fence);
  ASSERT_TRUE(driver->renew_lease(lease, short_time));
  wait_until_over(*driver, part());
  EXPECT_TRUE(driver->renew_lease(lease, long_time)) << "it ran out, and nobody else took it";
  EXPECT_FALSE(driver->acquire_lease(part(), "b", long_time));
}

void every_lease_has_a_higher_fence(Harness& harness) {
  const auto driver = harness.open();
  driver->open_projection(stock(), 1);
  std::int64_t fence = 0;
  const auto expect_higher = [&](const PartKey& key, const std::string& holder) {
    const Lease lease = lease_of(*driver, key, holder);
    EXPECT_GT(lease.fence, fence) << holder;
    EXPECT_EQ(state_of(*driver, key).fence, lease.fence);
    fence = lease.fence;
    return lease;
  };
  expect_higher(part(), "a");
  expect_higher(part(), "a");
  driver->release_lease(expect_higher(part(), "a"));
  expect_higher(part(), "b");
  // One that was removed and made again is not taken for the one before.
  driver->remove_projection(stock());
  driver->open_projection(stock(), 1);
  expect_higher(part(), "b");
  const std::int32_t generation = driver->add_generation(stock());
  expect_higher(part(0, generation), "b");
  driver->remove_generation(stock(), generation);
  ASSERT_EQ(driver->add_generation(stock()), generation);
  expect_higher(part(0, generation), "b");
}

void one_of_many_gets_the_lease(Harness& harness) {
  const auto driver = harness.open();
  constexpr int callers = 4;
  for (int round = 0; round < rounds(20, 5); ++round) {
    const ProjectionKey key{"p" + std::to_string(round), ""};
    driver->open_projection(key, 1);
    std::atomic<int> given = 0;
    in_threads(callers, [&](int i) {
      if (driver->acquire_lease(part(0, 1, key), "holder " + std::to_string(i), long_time)) ++given;
    });
    EXPECT_EQ(given, 1);
  }
}

// --- Transactions

void effects_and_checkpoint_are_one(Harness& harness) {
  const auto driver = harness.open();
  Counters& counters = harness.counters();
  driver->open_projection(stock(), 1);
  const Lease lease = lease_of(*driver, part(), "a");
  {
    const auto transaction = driver->begin_read_model();
    counters.add(*transaction, "x", 1);
    ASSERT_TRUE(transaction->move_checkpoint(lease, Position(1)));
  }
  EXPECT_EQ(position_of(*driver, part()), 0) << "it was rolled back";
  EXPECT_EQ(counters.read(), Numbers());
  {
    const auto transaction = driver->begin_read_model();
    counters.add(*transaction, "x", 2);
    ASSERT_TRUE(transaction->move_checkpoint(lease, Position(2)));
    counters.add(*transaction, "y", 3);
    transaction->commit();
  }
  EXPECT_EQ(position_of(*driver, part()), 2);
  EXPECT_EQ(counters.read(), (Numbers{{"x", 2}, {"y", 3}}));
  {
    const auto transaction = driver->begin_read_model();
    counters.add(*transaction, "x", 10);
    counters.forget(*transaction, "y");
    transaction->commit();
  }
  EXPECT_EQ(counters.read(), (Numbers{{"x", 12}})) << "a transaction without a checkpoint commits, too";
  EXPECT_EQ(position_of(*driver, part()), 2);
  EXPECT_EQ(lease_of(*driver, part(), "a").position, Position(2));
}

void a_checkpoint_says_when_it_moved(Harness& harness) {
  const auto driver = harness.open();
  driver->open_projection(stock(), 1);
  const Timestamp made = state_of(*driver, part()).updated_at;
  const Lease lease = lease_of(*driver, part(), "a");
  ASSERT_TRUE(driver->renew_lease(lease, long_time));
  EXPECT_EQ(state_of(*driver, part()).updated_at, made) << "a lease is no progress";
  std::this_thread::sleep_for(milliseconds(2));
  const auto transaction = driver->begin_read_model();
  ASSERT_TRUE(transaction->move_checkpoint(lease, Position(1)));
  transaction->commit();
  EXPECT_GT(state_of(*driver, part()).updated_at, made);
}

void a_zombie_moves_nothing(Harness& harness) {
  const auto driver = harness.open();
  Counters& counters = harness.counters();
  driver->open_projection(stock(), 1);
  const Lease zombie = lease_of(*driver, part(), "a", short_time);
  wait_until_over(*driver, part());
  const Lease heir = lease_of(*driver, part(), "b");
  {
    const auto transaction = driver->begin_read_model();
    counters.add(*transaction, "zombie", 1);
    EXPECT_FALSE(transaction->move_checkpoint(zombie, Position(100)));
  }
  EXPECT_EQ(position_of(*driver, part()), 0);
  EXPECT_EQ(counters.read(), Numbers());
  {
    const auto transaction = driver->begin_read_model();
    counters.add(*transaction, "heir", 1);
    EXPECT_TRUE(transaction->move_checkpoint(heir, Position(3)));
    transaction->commit();
  }
  EXPECT_EQ(position_of(*driver, part()), 3);
  EXPECT_EQ(counters.read(), (Numbers{{"heir", 1}}));
  // Also after the heir has given it back, and for one of the same name.
  driver->release_lease(heir);
  EXPECT_FALSE(driver->begin_read_model()->move_checkpoint(zombie, Position(100)));
  const Lease same_name = lease_of(*driver, part(), "a");
  EXPECT_FALSE(driver->begin_read_model()->move_checkpoint(zombie, Position(100)));
  EXPECT_TRUE(driver->begin_read_model()->move_checkpoint(same_name, Position(4)));
}

void a_zombie_of_what_was_removed_moves_nothing(Harness& harness) {
  const auto driver = harness.open();
  driver->open_projection(stock(), 1);
  const Lease zombie = lease_of(*driver, part(), "a");
  driver->remove_projection(stock());
  EXPECT_FALSE(driver->begin_read_model()->move_checkpoint(zombie, Position(1)));
  EXPECT_FALSE(driver->renew_lease(zombie, long_time));
  driver->open_projection(stock(), 1);
  EXPECT_FALSE(driver->begin_read_model()->move_checkpoint(zombie, Position(1)));
  lease_of(*driver, part(), "a");
  EXPECT_FALSE(driver->begin_read_model()->move_checkpoint(zombie, Position(1)));
  EXPECT_FALSE(driver->renew_lease(zombie, long_time));
}

void one_that_ran_out_moves_while_nobody_took_it(Harness& harness) {
  const auto driver = harness.open();
  Counters& counters = harness.counters();
  driver->open_projection(stock(), 1);
  const Lease lease = lease_of(*driver, part(), "a", short_time);
  wait_until_over(*driver, part());
  const auto transaction = driver->begin_read_model();
  counters.add(*transaction, "x", 1);
  EXPECT_TRUE(transaction->move_checkpoint(lease, Position(1)));
  transaction->commit();
  EXPECT_EQ(position_of(*driver, part()), 1);
}

// As after a crash that took back what a holder has seen committed: it must not go on from where it thinks it is.
void a_checkpoint_moves_from_where_its_holder_knows_it(Harness& harness) {
  const auto driver = harness.open();
  Counters& counters = harness.counters();
  driver->open_projection(stock(), 1);
  Lease lease = lease_of(*driver, part(), "a");
  const auto moved = [&](Position from, Position to) {
    const auto transaction = driver->begin_read_model();
    counters.add(*transaction, "moved", 1);
    lease.position = from;
    if (!transaction->move_checkpoint(lease, to)) return false;
    transaction->commit();
    return true;
  };
  EXPECT_TRUE(moved(Position(0), Position(5)));
  for (const int from : {0, 4, 6, 9}) EXPECT_FALSE(moved(Position(from), Position(9))) << from;
  EXPECT_EQ(position_of(*driver, part()), 5);
  EXPECT_TRUE(moved(Position(5), Position(5))) << "it may stay where it is";
  EXPECT_TRUE(moved(Position(5), Position(9)));
  EXPECT_EQ(counters.read(), (Numbers{{"moved", 3}}));
  // Twice in one transaction.
  const auto transaction = driver->begin_read_model();
  lease.position = Position(9);
  ASSERT_TRUE(transaction->move_checkpoint(lease, Position(10)));
  EXPECT_FALSE(transaction->move_checkpoint(lease, Position(11)));
  lease.position = Position(10);
  ASSERT_TRUE(transaction->move_checkpoint(lease, Position(11)));
  transaction->commit();
  EXPECT_EQ(position_of(*driver, part()), 11);
}

void a_projection_may_begin_later(Harness& harness) {
  const auto driver = harness.open();
  for (const PartState& state : driver->open_projection(stock(), 2, Position(7)).checkpoints) {
    EXPECT_EQ(state.position, Position(7));
  }
  EXPECT_EQ(lease_of(*driver, part(1), "a").position, Position(7));
  EXPECT_EQ(driver->open_projection(stock(), 2, Position(9)).checkpoints[0].position, Position(7)) << "it is there";
  EXPECT_EQ(driver->open_projection(stock(), 2).checkpoints[0].position, Position(7));
  EXPECT_EQ(driver->add_generation(stock()), 2);
  EXPECT_EQ(state_of(*driver, part(0, 2)).position, Position(0)) << "a rebuild is of everything";
}

// The heir asks between the move and the commit: it has to wait, and then goes on from where the other one came.
void a_take_over_waits_for_who_has_moved(Harness& harness) {
  const auto driver = harness.open();
  Counters& counters = harness.counters();
  driver->open_projection(stock(), 1);
  const Lease lease = lease_of(*driver, part(), "a", short_time);
  wait_until_over(*driver, part());
  auto transaction = driver->begin_read_model();
  counters.add(*transaction, "x", 1);
  ASSERT_TRUE(transaction->move_checkpoint(lease, Position(5)));
  std::promise<void> begun;
  std::atomic<bool> committed = false;
  std::thread heir([&] {
    begun.set_value();
    try {
      const Lease taken = lease_of(*driver, part(), "b");
      EXPECT_TRUE(committed) << "two had the right to move the checkpoint";
      EXPECT_EQ(taken.position, Position(5));
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  });
  begun.get_future().wait();
  std::this_thread::sleep_for(milliseconds(50));  // A driver that does not wait gives the lease meanwhile.
  committed = true;
  transaction->commit();
  transaction.reset();
  heir.join();
}

// Runners that take the lease from each other, again and again: nothing is lost, and nothing counts twice.
void every_position_has_one_effect(Harness& harness) {
  const auto driver = harness.open();
  Counters& counters = harness.counters();
  driver->open_projection(stock(), 1);
  constexpr int goal = 40;
  in_threads(3, [&](int i) {
    const std::string name = "runner " + std::to_string(i);
    for (int turn = 0; turn < 10'000 && position_of(*driver, part()) < goal; ++turn) {
      std::optional<Lease> lease = driver->acquire_lease(part(), name, milliseconds(1));
      if (!lease) continue;
      for (std::int64_t next = lease->position.value() + 1; next <= goal; ++next) {
        const auto transaction = driver->begin_read_model();
        counters.add(*transaction, std::to_string(next), 1);
        if (!transaction->move_checkpoint(*lease, Position(next))) break;
        transaction->commit();
        lease->position = Position(next);
      }
    }
  });
  Numbers wanted;
  for (int i = 1; i <= goal; ++i) wanted[std::to_string(i)] = 1;
  EXPECT_EQ(counters.read(), wanted);
}

// --- Dead letters and members

void dead_letters_are_kept_with_the_transaction(Harness& harness) {
  const auto driver = harness.open();
  driver->open_projection(stock(), 2);
  const Lease lease = lease_of(*driver, part(), "a");
  const auto letter = [](int position, int of_part = 0, int attempts = 1) {
    return DeadLetter{
        part(of_part), Position(position), uuid(static_cast<std::uint8_t>(position)), attempts, "why", {}};
  };
  {
    const auto transaction = driver->begin_read_model();
    transaction->add_dead_letter(letter(1));
  }
  EXPECT_TRUE(driver->list_dead_letters(stock(), 100).empty()) << "it was rolled back";
  {
    const auto transaction = driver->begin_read_model();
    transaction->add_dead_letter(letter(9));
    transaction->add_dead_letter(letter(3, 1));
    transaction->add_dead_letter(letter(5, 0, 2));
    transaction->add_dead_letter(letter(5, 0, 4));
    ASSERT_TRUE(transaction->move_checkpoint(lease, Position(9)));
    transaction->commit();
  }
  const std::vector<DeadLetter> list = driver->list_dead_letters(stock(), 100);
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].position, Position(3));
  EXPECT_EQ(list[0].key, part(1));
  EXPECT_EQ(list[1].position, Position(5));
  EXPECT_EQ(list[1].attempts, 4);
  EXPECT_EQ(list[1].event_id, uuid(5));
  EXPECT_EQ(list[1].error, "why");
  EXPECT_GT(list[1].recorded_at.micros(), 0);
  EXPECT_EQ(list[2].position, Position(9));
  EXPECT_EQ(driver->list_dead_letters(stock(), 2).size(), 2u);
  EXPECT_EQ(driver->list_dead_letters(stock(), 2).back().position, Position(5));
  EXPECT_TRUE(driver->list_dead_letters(stock("x"), 100).empty());
  EXPECT_EQ(driver->list_projections().at(0).dead_letters, 3);
  EXPECT_FALSE(driver->remove_dead_letter(part(0), Position(3))) << "it is of part 1";
  EXPECT_TRUE(driver->remove_dead_letter(part(1), Position(3)));
  EXPECT_FALSE(driver->remove_dead_letter(part(1), Position(3)));
  EXPECT_EQ(driver->list_projections().at(0).dead_letters, 2);
}

void dead_letters_go_with_their_checkpoint(Harness& harness) {
  const auto driver = harness.open();
  driver->open_projection(stock(), 1);
  driver->add_generation(stock());
  const auto add = [&](const PartKey& key, int position) {
    const auto transaction = driver->begin_read_model();
    transaction->add_dead_letter({key, Position(position), uuid(1), 1, "why", {}});
    transaction->commit();
  };
  add(part(0, 1), 1);
  add(part(0, 2), 2);
  add(part(0, 7), 3);
  add(part(0, 1, {"missing", ""}), 4);
  EXPECT_EQ(driver->list_dead_letters(stock(), 100).size(), 2u) << "there is no generation 7";
  EXPECT_TRUE(driver->list_dead_letters({"missing", ""}, 100).empty());
  const auto transaction = driver->begin_read_model();
  ASSERT_TRUE(transaction->activate(stock(), 1, 2));
  transaction->commit();
  ASSERT_EQ(driver->list_dead_letters(stock(), 100).size(), 1u);
  EXPECT_EQ(driver->list_dead_letters(stock(), 100)[0].position, Position(2));
  const std::int32_t third = driver->add_generation(stock());
  add(part(0, third), 5);
  driver->remove_generation(stock(), third);
  EXPECT_EQ(driver->list_dead_letters(stock(), 100).size(), 1u);
  driver->remove_projection(stock());
  driver->open_projection(stock(), 1);
  EXPECT_TRUE(driver->list_dead_letters(stock(), 100).empty());
}

void any_error_text_can_be_kept(Harness& harness) {
  const auto driver = harness.open();
  driver->open_projection(stock(), 1);
  const std::vector<std::string> texts = {"",
                                          "ä €😀",
                                          std::string("nul\0inside", 10),
                                          "not \xFF utf-8 \xC3",
                                          std::string(10'000, 'x'),
                                          std::string(3'999, 'x') + "😀 cut"};
  const auto transaction = driver->begin_read_model();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    transaction->add_dead_letter({part(), Position(static_cast<std::int64_t>(i) + 1), uuid(1), 1, texts[i], {}});
  }
  transaction->commit();
  const std::vector<DeadLetter> list = driver->list_dead_letters(stock(), 100);
  ASSERT_EQ(list.size(), texts.size());
  EXPECT_EQ(list[0].error, "");
  EXPECT_EQ(list[1].error, texts[1]);
  EXPECT_EQ(list[2].error, "nul inside");
  EXPECT_EQ(list[3].error, "not ? utf-8 ?");
  EXPECT_EQ(list[4].error, std::string(4'000, 'x'));
  EXPECT_EQ(list[5].error, std::string(3'999, 'x'));
}

void members_come_and_go(Harness& harness) {
  const auto driver = harness.open();
  EXPECT_EQ(driver->announce_member(stock(), "a", long_time), 0) << "there is no such projection";
  driver->open_projection(stock(), 4);
  driver->open_projection(stock("x"), 4);
  EXPECT_EQ(driver->announce_member(stock(), "a", long_time), 1);
  EXPECT_EQ(driver->announce_member(stock(), "b", long_time), 2);
  EXPECT_EQ(driver->announce_member(stock(), "a", long_time), 2);
  EXPECT_EQ(driver->announce_member(stock("x"), "c", long_time), 1);
  ASSERT_EQ(driver->announce_member(stock(), "b", milliseconds(0)), 1);
  EXPECT_EQ(driver->announce_member(stock(), "b", milliseconds(0)), 1);
  EXPECT_EQ(driver->announce_member(stock(), "d", short_time), 2);
  for (int i = 0; driver->announce_member(stock(), "a", long_time) != 1; ++i) {
    ASSERT_LT(i, 2'000) << "a member that is gone still counts";
    std::this_thread::sleep_for(milliseconds(10));
  }
  driver->remove_projection(stock());
  driver->open_projection(stock(), 4);
  EXPECT_EQ(driver->announce_member(stock(), "e", long_time), 1);
}

// --- The end of the log, and appends with a hook

void the_log_is_settled_up_to_its_end(Harness& harness) {
  EventStore store = open_store(harness);
  EXPECT_EQ(store.driver().settled_position(), Position(0));
  const AppendResult first = store.append(thing("a"), ExpectedVersion::any(), events(3));
  EXPECT_EQ(store.driver().settled_position(), first.last_position());
  store.append(thing("a"), ExpectedVersion::no_stream(), events(1));  // A conflict.
  const AppendResult second = store.append(thing("b"), ExpectedVersion::any(), events(1));
  EXPECT_EQ(store.driver().settled_position(), second.last_position());
}

void nothing_comes_below_what_is_settled(Harness& harness) {
  EventStore store = open_store(harness);
  std::atomic<int> writing = 3;
  std::vector<std::pair<Position, std::size_t>> seen;
  in_threads(4, [&](int i) {
    if (i < 3) {
      for (int n = 0; n < rounds(100, 20); ++n) {
        store.append(thing("s" + std::to_string(i)), ExpectedVersion::any(), events(2));
      }
      --writing;
      return;
    }
    while (writing > 0) {
      const Position settled = store.driver().settled_position();
      const std::size_t count = log_events(store, {.before = Position(settled.value() + 1)}).size();
      seen.emplace_back(settled, count);
    }
  });
  for (const auto& [position, count] : seen) {
    ASSERT_EQ(log_events(store, {.before = Position(position.value() + 1)}).size(), count) << position.value();
  }
}

AppendResult send_with_hook(Driver& driver, AppendRequest request, const driver::AppendHook& hook) {
  Prepared prepared;
  AppendAnswer answer = driver.append_with_hook(prepared.add(std::move(request)), hook);
  if (answer.error) throw *answer.error;
  return std::move(answer.result);
}

void a_hook_sees_what_is_written(Harness& harness) {
  EventStore store = open_store(harness);
  Counters& counters = harness.counters();
  store.append(thing("b"), ExpectedVersion::any(), events(2));
  AppendRequest two_streams;
  two_streams.streams.push_back({thing("b"), ExpectedVersion::exactly(2), {full_event(1), full_event(2)}});
  two_streams.streams.push_back({thing("a"), ExpectedVersion::no_stream(), {full_event(3)}});
  two_streams.streams.push_back({thing("c"), ExpectedVersion::any(), {}});
  two_streams.command = command("r-1");
  std::vector<RecordedEvent> seen;
  int calls = 0;
  const AppendResult result = send_with_hook(
      store.driver(), two_streams, [&](ReadModelTransaction& transaction, std::span<const RecordedEvent> events) {
        ++calls;
        seen.assign(events.begin(), events.end());
        counters.add(transaction, "seen", static_cast<std::int64_t>(events.size()));
      });
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(result.status, AppendStatus::appended);
  EXPECT_EQ(describe(seen), describe(log_events(store, {.after = Position(2)})));
  EXPECT_EQ(counters.read(), (Numbers{{"seen", 3}}));
  EXPECT_TRUE(store.find_command(two_streams.command->key));
  EXPECT_TRUE(store.verify().ok());
}

// How many rows a driver asks for at once may depend on what it read before: after a large event, few.
void a_hook_sees_all_of_a_large_append(Harness& harness) {
  EventStore store = open_store(harness);
  const auto numbers_seen = [&](const std::string& stream, std::vector<NewEvent> written) {
    std::vector<std::int64_t> seen;
    send_with_hook(store.driver(), request(thing(stream), ExpectedVersion::any(), std::move(written)),
                   [&](auto&, std::span<const RecordedEvent> events) {
                     for (const RecordedEvent& event : events) seen.push_back(event.version.value());
                   });
    return seen;
  };
  const NewEvent large = event("happened", "{\"p\":\"" + std::string(4'000'000, 'x') + "\"}");
  std::vector<std::int64_t> all(300);
  std::iota(all.begin(), all.end(), 1);
  EXPECT_EQ(numbers_seen("large", {large}), std::vector<std::int64_t>{1});
  EXPECT_EQ(numbers_seen("many", events(300)), all);
  EXPECT_EQ(numbers_seen("large", {large}), std::vector<std::int64_t>{2});
  // Of several streams, those behind the one that takes several pages, too.
  AppendRequest several;
  for (const char* stream : {"first", "second", "third"}) {
    several.streams.push_back({thing(stream), ExpectedVersion::any(), events(100)});
  }
  std::size_t seen = 0;
  send_with_hook(store.driver(), several, [&](auto&, auto events) { seen = events.size(); });
  EXPECT_EQ(seen, 300u);
}

void a_hook_is_called_for_new_events_alone(Harness& harness) {
  EventStore store = open_store(harness);
  AppendRequest first = request(command("r-1"), thing("a"), ExpectedVersion::any(), events(1));
  store.append(first);
  int calls = 0;
  const auto status = [&](AppendRequest request) {
    return send_with_hook(store.driver(), std::move(request), [&](auto&, auto) { ++calls; }).status;
  };
  EXPECT_EQ(status(request(command("r-1"), thing("a"), ExpectedVersion::any(), events(2))),
            AppendStatus::request_id_reused);
  EXPECT_EQ(status(request(thing("a"), ExpectedVersion::no_stream(), events(1))), AppendStatus::conflict);
  EXPECT_EQ(status(request(thing("a"), ExpectedVersion::stream_exists(), {})), AppendStatus::appended);
  AppendRequest only_command;
  only_command.command = command("r-2");
  EXPECT_EQ(status(only_command), AppendStatus::appended);
  EXPECT_TRUE(store.find_command(only_command.command->key)) << "it is recorded without a hook, too";
  const AppendRequest with_ids = request(thing("b"), ExpectedVersion::any(), events_with_ids({1, 2}));
  EXPECT_EQ(status(with_ids), AppendStatus::appended);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(status(with_ids), AppendStatus::replayed);
  EXPECT_EQ(calls, 1);
  expect_numbers(store, thing("a"), {1});
}

void what_a_hook_throws_leaves_nothing(Harness& harness) {
  EventStore store = open_store(harness);
  Counters& counters = harness.counters();
  store.append(thing("a"), ExpectedVersion::any(), events(1));
  const AppendRequest refused = request(command("r-1"), thing("a"), ExpectedVersion::any(), events(2, 2));
  expect_nothing_written(store, [&] {
    try {
      send_with_hook(store.driver(), refused, [&](ReadModelTransaction& transaction, auto) {
        counters.add(transaction, "x", 1);
        throw Refusal("no");
      });
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Refusal& refusal) {
      EXPECT_STREQ(refusal.what(), "no");
    }
  });
  EXPECT_EQ(counters.read(), Numbers());
  EXPECT_EQ(send_with_hook(store.driver(), refused, [](auto&, auto) {}).status, AppendStatus::appended);
  expect_numbers(store, thing("a"), {1, 2, 3});
}

void a_hook_does_not_commit(Harness& harness) {
  EventStore store = open_store(harness);
  Counters& counters = harness.counters();
  expect_nothing_written(store, [&] {
    expect_error(ErrorCode::invalid_argument, "append commits", [&] {
      send_with_hook(store.driver(), request(thing("a"), ExpectedVersion::any(), events(1)),
                     [&](ReadModelTransaction& transaction, auto) {
                       counters.add(transaction, "x", 1);
                       transaction.commit();
                     });
    });
  });
  EXPECT_EQ(counters.read(), Numbers());
}

void a_hook_moves_a_checkpoint_with_its_events(Harness& harness) {
  EventStore store = open_store(harness);
  Counters& counters = harness.counters();
  Driver& driver = store.driver();
  driver.open_projection(stock(), 1);
  const Lease lease = lease_of(driver, part(), "inline");
  const auto move = [&](ReadModelTransaction& transaction, std::span<const RecordedEvent> events) {
    counters.add(transaction, "x", 1);
    EXPECT_TRUE(transaction.move_checkpoint(lease, events.back().position));
  };
  const AppendResult result = send_with_hook(driver, request(thing("a"), ExpectedVersion::any(), events(3)), move);
  EXPECT_EQ(position_of(driver, part()), result.last_position().value());
  EXPECT_EQ(counters.read(), (Numbers{{"x", 1}}));
}

// A reader that comes while the hook runs: the events are not there, and nothing behind them counts as settled.
void nothing_is_seen_before_the_hook_is_done(Harness& harness) {
  EventStore store = open_store(harness);
  store.append(thing("before"), ExpectedVersion::any(), events(1));
  bool looked = false;
  send_with_hook(store.driver(), request(thing("a"), ExpectedVersion::any(), events(2)), [&](auto&, auto events) {
    const Position first = events.front().position;
    std::thread([&] {
      try {
        EXPECT_LT(store.driver().settled_position(), first);
        EXPECT_EQ(log_events(store).size(), 1u);
        EXPECT_EQ(store.stream_version(thing("a")), Version(0));
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::busy) << "a database with one session for everything: " << error.what();
      }
      looked = true;
    }).join();
  });
  EXPECT_TRUE(looked);
  EXPECT_EQ(log_events(store).size(), 3u);
}

void hooks_follow_one_another(Harness& harness) {
  EventStore store = open_store(harness);
  Counters& counters = harness.counters();
  const int each = rounds(30, 10);
  in_threads(3, [&](int i) {
    for (int n = 0; n < each; ++n) {
      const auto count = [&](ReadModelTransaction& transaction, std::span<const RecordedEvent> events) {
        counters.add(transaction, "stream " + std::to_string(i), static_cast<std::int64_t>(events.size()));
      };
      send_with_hook(store.driver(),
                     request(thing("s" + std::to_string(i)), ExpectedVersion::exactly(2 * n), events(2)), count);
      store.append(thing("plain"), ExpectedVersion::any(), events(1));
    }
  });
  Numbers wanted;
  for (int i = 0; i < 3; ++i) wanted["stream " + std::to_string(i)] = 2 * each;
  EXPECT_EQ(counters.read(), wanted);
  EXPECT_EQ(log_events(store).size(), static_cast<std::size_t>(9 * each));
  EXPECT_TRUE(store.verify().ok());
}

constexpr Case all_checkpoint_cases[] = {
    {"G13", "a_projection_begins_at_0", needs_read_models, a_projection_begins_at_0},
    {"G13", "a_projection_may_begin_later", needs_read_models, a_projection_may_begin_later},
    {"G13", "opening_it_again_changes_nothing", needs_read_models, opening_it_again_changes_nothing},
    {"G13", "a_name_has_one_use", needs_read_models, a_name_has_one_use},
    {"API", "a_kind_changes_from_what_it_is", needs_read_models, a_kind_changes_from_what_it_is},
    {"G13", "everybody_opens_at_once", needs_read_models, everybody_opens_at_once},
    {"API", "projections_are_listed_in_byte_order", needs_read_models, projections_are_listed_in_byte_order},
    {"G13", "generations_stand_side_by_side", needs_read_models, generations_stand_side_by_side},
    {"G13", "generations_made_at_once_are_distinct", needs_read_models, generations_made_at_once_are_distinct},
    {"G13", "a_switch_is_all_or_nothing", needs_read_models, a_switch_is_all_or_nothing},
    {"G13", "a_lease_keeps_others_out", needs_read_models, a_lease_keeps_others_out},
    {"G13", "a_lease_that_is_given_back_is_free", needs_read_models, a_lease_that_is_given_back_is_free},
    {"G13", "a_lease_runs_out", needs_read_models, a_lease_runs_out},
    {"G13", "a_renewed_lease_goes_on", needs_read_models, a_renewed_lease_goes_on},
    {"G13", "every_lease_has_a_higher_fence", needs_read_models, every_lease_has_a_higher_fence},
    {"G13", "one_of_many_gets_the_lease", needs_read_models, one_of_many_gets_the_lease},
    {"G13", "effects_and_checkpoint_are_one", needs_read_models, effects_and_checkpoint_are_one},
    {"API", "a_checkpoint_says_when_it_moved", needs_read_models, a_checkpoint_says_when_it_moved},
    {"G13", "a_zombie_moves_nothing", needs_read_models, a_zombie_moves_nothing},
    {"G13", "a_zombie_of_what_was_removed_moves_nothing", needs_read_models,
     a_zombie_of_what_was_removed_moves_nothing},
    {"G13", "one_that_ran_out_moves_while_nobody_took_it", needs_read_models,
     one_that_ran_out_moves_while_nobody_took_it},
    {"G13", "a_checkpoint_moves_from_where_its_holder_knows_it", needs_read_models,
     a_checkpoint_moves_from_where_its_holder_knows_it},
    {"G13", "a_take_over_waits_for_who_has_moved", needs_read_models, a_take_over_waits_for_who_has_moved},
    {"G13", "every_position_has_one_effect", needs_read_models, every_position_has_one_effect},
    {"G13", "dead_letters_are_kept_with_the_transaction", needs_read_models,
     dead_letters_are_kept_with_the_transaction},
    {"API", "dead_letters_go_with_their_checkpoint", needs_read_models, dead_letters_go_with_their_checkpoint},
    {"API", "any_error_text_can_be_kept", needs_read_models, any_error_text_can_be_kept},
    {"API", "members_come_and_go", needs_read_models, members_come_and_go},
    {"G7", "the_log_is_settled_up_to_its_end", needs_read_models, the_log_is_settled_up_to_its_end},
    {"G7", "nothing_comes_below_what_is_settled", needs_read_models, nothing_comes_below_what_is_settled},
    {"G13", "a_hook_sees_what_is_written", needs_read_models, a_hook_sees_what_is_written},
    {"G13", "a_hook_sees_all_of_a_large_append", needs_read_models, a_hook_sees_all_of_a_large_append},
    {"API", "a_hook_is_called_for_new_events_alone", needs_read_models, a_hook_is_called_for_new_events_alone},
    {"G4", "what_a_hook_throws_leaves_nothing", needs_read_models, what_a_hook_throws_leaves_nothing},
    {"API", "a_hook_does_not_commit", needs_read_models, a_hook_does_not_commit},
    {"G13", "a_hook_moves_a_checkpoint_with_its_events", needs_read_models, a_hook_moves_a_checkpoint_with_its_events},
    {"G4", "nothing_is_seen_before_the_hook_is_done", needs_read_models, nothing_is_seen_before_the_hook_is_done},
    {"G13", "hooks_follow_one_another", needs_read_models, hooks_follow_one_another},
};

}  // namespace

std::span<const Case> checkpoint_cases() {
  return all_checkpoint_cases;
}

}  // namespace stele::testing
