// F10: the quorum behind a lease.
#include "core/node/contact.h"

#include <catch2/catch.hpp>

namespace vsync::core {
namespace {

Member member(NodeId node) {
  return {{node, 1, 0}, node * 10, "n" + std::to_string(node), {}};
}

ViewPtr view_of(NodeId members) {
  View view;
  view.ref.epoch = 5;
  for (NodeId node = 1; node <= members; ++node) {
    view.members.push_back(member(node));
    view.voters.push_back({node, node * 10, 1});
  }
  view.tiebreak = 1;
  return std::make_shared<const View>(std::move(view));
}

}  // namespace

TEST_CASE("contact is as old as the answer that makes the quorum") {
  Contact contact;
  contact.install(view_of(5));
  CHECK_FALSE(contact.since(member(1), Time(100)));
  contact.answered(member(2).pid, Time(40));
  CHECK_FALSE(contact.since(member(1), Time(100)));
  contact.answered(member(3).pid, Time(30));
  CHECK(contact.since(member(1), Time(100)) == Time(30));
  contact.answered(member(4).pid, Time(70));
  CHECK(contact.since(member(1), Time(100)) == Time(40));
  contact.answered(member(4).pid, Time(60));  // late: what is known stays
  CHECK(contact.since(member(1), Time(100)) == Time(40));
  contact.install(view_of(5));
  CHECK_FALSE(contact.since(member(1), Time(100)));
}

TEST_CASE("contact of one alone, of half with the tie-break node, and of strangers") {
  Contact contact;
  contact.install(view_of(1));
  CHECK(contact.since(member(1), Time(100)) == Time(100));
  contact.install(view_of(2));
  CHECK(contact.since(member(1), Time(100)) == Time(100));
  CHECK_FALSE(contact.since(member(2), Time(100)));
  contact.answered({3, 7, 0}, Time(90));
  contact.answered({1, 2, 0}, Time(90));  // another incarnation than the view's
  CHECK_FALSE(contact.since(member(2), Time(100)));
}

}  // namespace vsync::core
