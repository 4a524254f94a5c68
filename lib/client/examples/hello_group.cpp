// Joins a group, says hello to it, and prints its views and messages until 10 messages came.
//   c++ -std=c++20 hello_group.cpp -lvsync && ./a.out
#include <vsync/client.h>

#include <iostream>

struct Printer : vsync::Handler {
  void on_view(const vsync::GroupView& view) override {
    std::cout << "view " << view.number << " of " << view.group << ":";
    for (const auto& member : view.members) {
      std::cout << ' ' << member.name << '@' << member.node;
    }
    std::cout << ", led by " << view.members.front().name << ", token " << view.token << std::endl;
  }
  void on_messages(const vsync::Delivery& delivery) override {
    for (const auto message : delivery.messages) {
      std::cout << delivery.sender.name << ": " << message << std::endl;
      ++count;
    }
  }
  int count = 0;
};

int main(int argc, char** argv) {
  Printer printer;
  vsync::Client client(printer);
  if (const auto view = client.join("hello", {.member_name = argc > 1 ? argv[1] : "somebody"}); !view) {
    std::cerr << "cannot join: " << view.failure().message << '\n';
    return 1;
  }
  const auto sent = client.send("hello", "hello, group", {.text = true});  // delivered by all that go on, or we are told
  std::cout << (sent && sent->fate == vsync::Fate::delivered ? "delivered" : "not delivered") << std::endl;
  while (printer.count < 10 && client.poll(std::chrono::seconds(1))) {
  }
}
