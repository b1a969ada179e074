import Testing
@Test func stubServiceTests() {}
